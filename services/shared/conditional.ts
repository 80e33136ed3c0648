import type { Request } from 'express';
import { Problem } from './problem.ts';

/** The entity tag of a document that counts its versions (RFC 9110, 8.8.3). */
export const versionTag = (version: number): string => `"${version}"`;

/**
 * Stands where a change is decided, against what it would replace (RFC 9110, 13.1.1 and 13.1.2): `If-Match`, and
 * `If-None-Match: *` for what must not exist yet. Without them everything goes.
 *
 * @param etag undefined: there is nothing yet
 * @throws Problem 412 where the caller has seen another version, or none
 */
export function demandMatch(req: Request, etag: string | undefined): void {
  if (req.get('if-none-match')?.trim() === '*' && etag !== undefined)
    throw new Problem(412, 'precondition-failed', 'It exists already.');
  const expected = req.get('if-match');
  if (expected === undefined || (expected.trim() === '*' && etag !== undefined)) return;
  const tags = expected.split(',').map((tag) => tag.trim());
  if (etag === undefined || !tags.includes(etag))
    throw new Problem(412, 'precondition-failed', 'It has changed since you read it. Read it again.');
}
