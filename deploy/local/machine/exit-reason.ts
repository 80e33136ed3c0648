/** Why a program has ended, from what it has printed: the lines that say so, and no others. */

/** What `dapr run` puts in front of a service's lines, and what it prints itself. */
const PREFIX = /^== APP - \S+ == /;
const OF_DAPR_RUN = /^(ℹ|✅|⚠|❌|Starting Dapr with id|Updating metadata|termination signal|You're up)/u;
const ENDED = /(?:The (?:App|daprd) process exited with error code: (.+)|Exited (?:App|Dapr) successfully)/;
// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[\d;]*m/g;

const MOST_LINES = 8;

/** How it ended, as `dapr run` notes it in its log; undefined while it runs. */
export function endOf(log: string): string | undefined {
  const found = ENDED.exec(log);
  return found ? (found[1] ?? 'exit status 0') : undefined;
}

/** The line of Dapr with `level=fatal`, the error that nobody caught, or else its last lines of plain text; '' where it said nothing. */
export function lastWords(log: string): string {
  const lines = log
    .replace(COLOURS, '')
    .split('\n')
    .map((line) => line.replace(PREFIX, '').trimEnd())
    .filter((line) => line.trim() && !OF_DAPR_RUN.test(line) && !ENDED.test(line));
  const fatal = lines.findLast((line) => /\blevel=fatal\b/.test(line));
  if (fatal !== undefined)
    return /\bmsg="((?:[^"\\]|\\.)*)"/.exec(fatal)?.[1]?.replaceAll('\\"', '"') ?? fatal;
  const uncaught = lines.findLast((line) => /^\w*Error\b.*: |^panic: /.test(line));
  if (uncaught !== undefined) return uncaught;
  const plain = lines.filter((line) => !line.startsWith('{') && !/\blevel=(debug|info|warning)\b/.test(line));
  const words = plain.length > 0 ? plain : lines.slice(-1);
  return words.slice(-MOST_LINES).join('\n');
}
