/** What a check of a running system has found. */
export interface Finding {
  /** The name of the check. */
  check: string;
  status: 'ok' | 'problem' | 'skipped';
  /** The state, what is wrong, or why the check was skipped. */
  message: string;
  /** What to do about a problem. */
  advice?: string;
}

export interface Problem {
  message: string;
  advice: string;
}

export const skipped = (check: string, reason: string): Finding => ({
  check,
  status: 'skipped',
  message: reason,
});

/** A finding per problem, or one that states what is fine. */
export function findingsOf(check: string, problems: readonly Problem[], fine: string): Finding[] {
  if (problems.length === 0) return [{ check, status: 'ok', message: fine }];
  return problems.map((problem) => ({ check, status: 'problem', ...problem }));
}

/** Example: `one message`, `3 messages`, `100 or more messages`. */
export function countOf(count: number, noun: string, hasMore = false): string {
  if (hasMore) return `${count} or more ${noun}s`;
  return count === 1 ? `one ${noun}` : `${count} ${noun}s`;
}
