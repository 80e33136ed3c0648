import type { Request } from 'express';
import { Problem } from './problem.ts';

/** The entity tag of a document that counts its versions (RFC 9110, 8.8.3). */
export const versionTag = (version: number): string => `"${version}"`;

/**
 * Stands where a change is decided, against what it would replace (RFC 9110, 13.1.1). Without `If-Match` everything goes.
 *
 * @param etag undefined: there is nothing yet
 * @throws Problem 412 where the caller has seen another version
 */
export function demandMatch(req: Request, etag: string | undefined): void {
  const expected = req.get('if-match');
  if (expected === undefined || (expected.trim() === '*' && etag !== undefined)) return;
  const tags = expected.split(',').map((tag) => tag.trim());
  if (etag === undefined || !tags.includes(etag))
    throw new Problem(412, 'precondition-failed', 'It has changed since you read it. Read it again.');
}
