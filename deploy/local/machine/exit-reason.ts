/** Finds in the output of a program why it exited. */

/** The prefix of `dapr run` for the lines of a service, and its own lines. */
const APP_PREFIX = /^== APP - \S+ == /;
const DAPR_RUN_LINE = /^(ℹ|✅|⚠|❌|Starting Dapr with id|Updating metadata|termination signal|You're up)/u;
const EXIT_LINE =
  /(?:The (?:App|daprd) process exited with error code: (.+)|Exited (?:App|Dapr) successfully)/;
// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[\d;]*m/g;

const MAX_LINES = 8;

/** The exit status that `dapr run` writes to the log; undefined while the program runs. */
export function findExitStatus(log: string): string | undefined {
  const found = EXIT_LINE.exec(log);
  return found ? (found[1] ?? 'exit status 0') : undefined;
}

/** Dapr's fatal line, else the uncaught error, else the last lines of plain text; '' if the log is empty. */
export function findExitReason(log: string): string {
  const lines = log
    .replace(COLOURS, '')
    .split('\n')
    .map((line) => line.replace(APP_PREFIX, '').trimEnd())
    .filter((line) => line.trim() && !DAPR_RUN_LINE.test(line) && !EXIT_LINE.test(line));
  const fatal = lines.findLast((line) => /\blevel"?[=:]"?fatal\b/.test(line));
  if (fatal !== undefined) return messageOf(fatal);
  const uncaught = lines.findLast((line) => /^\w*Error\b.*: |^panic: /.test(line));
  if (uncaught !== undefined) return uncaught;
  const plain = lines.filter((line) => !line.startsWith('{') && !/\blevel=(debug|info|warning)\b/.test(line));
  const shown = plain.length > 0 ? plain : lines.slice(-1);
  return shown.slice(-MAX_LINES).join('\n');
}

/** The message of a line of daprd, which is JSON, or pairs if daprd was started in another way. */
function messageOf(line: string): string {
  const [, quoted] = /\bmsg"?[=:]("(?:[^"\\]|\\.)*")/.exec(line) ?? [];
  return quoted === undefined ? line : (JSON.parse(quoted) as string);
}
