/** A file, and how its text follows from its present text, which is empty for a new file. */
export type Edit = readonly [file: string, edit: (text: string) => string];

export const HEADER = '# Generated from services/services.ts by `npm run generate`.\n';

/** A YAML list in one line. */
export const list = (items: readonly string[]): string => `[${items.join(', ')}]`;

/** @throws Error if nothing in the text matches, because then a file was changed in a way that this command does not know */
export function replace(text: string, pattern: RegExp, by: string): string {
  if (!pattern.test(text)) throw new Error(`nothing matches ${String(pattern)}`);
  pattern.lastIndex = 0;
  return text.replace(pattern, by);
}
