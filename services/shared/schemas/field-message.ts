import type { z } from 'zod';

const NOUNS: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'a boolean',
  int: 'an integer',
  number: 'a number',
  object: 'an object',
  string: 'a string',
};

/** States what a field must be, for the checks that come with Zod. A message of the schema itself takes precedence. */
export const fieldMessage: z.core.$ZodErrorMap = (issue) => {
  const { code, input } = issue;
  if (code === 'too_small') return bound('at least', Number(issue.minimum), issue.origin);
  if (code === 'too_big') return bound('at most', Number(issue.maximum), issue.origin);
  if (code === 'invalid_format') return issue.format === 'uuid' ? 'must be a UUID' : undefined;
  if (code !== 'invalid_type' && code !== 'invalid_value') return undefined;
  if (input === undefined) return 'is required';
  if (code === 'invalid_value') return `must be ${issue.values.map(String).join(' or ')}`;
  return `must be ${NOUNS[issue.expected] ?? `of the type ${issue.expected}`}`;
};

const COUNTED: Readonly<Record<string, string>> = { array: 'item', string: 'character' };

/** Bounds a length of texts and lists, and the value of numbers. */
function bound(words: 'at least' | 'at most', limit: number, origin: string): string {
  const unit = COUNTED[origin];
  return unit ? `must have ${words} ${limit} ${unit}${limit === 1 ? '' : 's'}` : `must be ${words} ${limit}`;
}
