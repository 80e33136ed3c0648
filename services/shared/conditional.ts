import type { Request } from 'express';
import { Problem } from './problem.ts';

/** The entity tag of a document that counts its versions (RFC 9110, 8.8.3). */
export const versionTag = (version: number): string => `"${version}"`;

/** What a proxy that compresses adds to the entity tag of a document, as Apache does. */
const CODING = /-(?:gzip|br|deflate|zstd)(?=")/g;

/** The entity tags of an `If-None-Match` without what proxies have added; weak ones match all the same (RFC 9110, 13.1.2). */
export const withoutCodings = (tags: string): string => tags.replaceAll(CODING, '');

/**
 * Stands where a change is decided, against what it would replace (RFC 9110, 13.1.1 and 13.1.2): `If-Match`, and
 * `If-None-Match: *` for what must not exist yet. Without them everything goes.
 *
 * @param etag undefined: there is nothing yet
 * @throws Problem 412 where the caller has seen another version, or none
 */
export function demandMatch(req: Request, etag: string | undefined): void {
  if (req.get('if-none-match')?.trim() === '*' && etag !== undefined)
    throw preconditionFailed('The resource already exists.');
  const expected = req.get('if-match');
  if (expected === undefined || (expected.trim() === '*' && etag !== undefined)) return;
  const tags = expected.split(',').map((tag) => tag.trim());
  if (etag === undefined) throw preconditionFailed('The resource does not exist.');
  // The comparison is the strong one: what a proxy has changed is no proof that the caller has seen this version.
  if (!tags.includes(etag)) throw preconditionFailed(whyNoneMatches(tags, etag));
}

const preconditionFailed = (detail: string) => new Problem(412, 'precondition-failed', detail);

function whyNoneMatches(tags: readonly string[], etag: string): string {
  if (tags.some((tag) => withoutCodings(tag).replace(/^W\//, '') === etag))
    return 'A compressing proxy changed the entity tag. Fetch the resource again with "Accept-Encoding: identity".';
  if (tags.includes(etag.slice(1, -1)))
    return 'An entity tag in If-Match must be in quotes, as in the ETag header.';
  return 'The resource has changed. Fetch it again and retry.';
}
