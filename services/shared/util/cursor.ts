/** A cursor does not belong to the list that it was sent for. */
export class InvalidCursorError extends Error {}

/** Encodes a position in a list as an opaque text that is safe in a URL. */
export const encodeCursor = (position: string): string => Buffer.from(position).toString('base64url');

/**
 * Decodes a cursor of `encodeCursor`.
 *
 * @param pattern the form of the position
 * @returns the groups of `pattern`
 * @throws InvalidCursorError if the cursor has another form
 */
export function decodeCursor(cursor: string, pattern: RegExp): string[] {
  const position = Buffer.from(cursor, 'base64url').toString();
  const [, ...groups] = pattern.exec(position) ?? [];
  // Base64 has several spellings of one text. Only one of them is a cursor.
  if (groups.length === 0 || encodeCursor(position) !== cursor) throw new InvalidCursorError();
  return groups;
}
