import type { Request } from 'express';
import { ProblemError } from './problem.ts';

/** The entity tag of a document with a version number (RFC 9110, 8.8.3). */
export const versionTag = (version: number): string => `"${version}"`;

/** The suffix that a compressing proxy, such as Apache, adds to an entity tag. */
const CODING = /-(?:gzip|br|deflate|zstd)(?=")/g;

/** Removes the suffixes of proxies from the entity tags of an `If-None-Match`. Weak tags match too (RFC 9110, 13.1.2). */
export const withoutCodings = (tags: string): string => tags.replaceAll(CODING, '');

/**
 * Evaluates `If-Match` and `If-None-Match: *` of a change against the current resource (RFC 9110, 13.1.1 and 13.1.2). Requests
 * without these headers pass.
 *
 * @param etag the entity tag of the resource; undefined if the resource does not exist
 * @throws ProblemError 412 if the precondition fails
 */
export function assertPreconditions(req: Request, etag: string | undefined): void {
  if (req.get('if-none-match')?.trim() === '*' && etag !== undefined)
    throw preconditionFailed('The resource already exists.');
  const expected = req.get('if-match');
  if (expected === undefined || (expected.trim() === '*' && etag !== undefined)) return;
  const tags = expected.split(',').map((tag) => tag.trim());
  if (etag === undefined) throw preconditionFailed('The resource does not exist.');
  // Strong comparison: a tag that a proxy changed does not prove that the caller has seen this version.
  if (!tags.includes(etag)) throw preconditionFailed(whyNoneMatches(tags, etag));
}

const preconditionFailed = (detail: string) => new ProblemError(412, 'precondition-failed', detail);

function whyNoneMatches(tags: readonly string[], etag: string): string {
  if (tags.some((tag) => withoutCodings(tag).replace(/^W\//, '') === etag))
    return 'A compressing proxy changed the entity tag. Fetch the resource again with "Accept-Encoding: identity".';
  if (tags.includes(etag.slice(1, -1)))
    return 'An entity tag in If-Match must be in quotes, as in the ETag header.';
  return 'The resource has changed. Fetch it again and retry.';
}
