import type { Operation } from './route-table.ts';
import { PROBLEM_TYPE } from '../http/problem.ts';

export type Json = Record<string, unknown>;

/** The readers of the document: `public` for clients of the gateway, `internal` for the sidecar of a service. */
export type Audience = 'public' | 'internal';

/** Every problem that an operation can return, by status: those that follow from its parts, and those that it declares. */
export function problemsOf(operation: Operation, audience: Audience): Json {
  const { access, rateLimit, params, query, body, idempotent, etag, problems = {} } = operation;
  const isPublic = audience === 'public';
  const needsCaller = access === 'customer' || access === 'admin';
  const takesBody = body !== undefined;
  const implied: [applies: boolean, status: number, slug: string, description: string][] = [
    [true, 400, 'bad-request', 'The request is malformed.'],
    [query !== undefined, 400, 'invalid-query', 'A query parameter is invalid.'],
    [takesBody, 400, 'malformed-json', 'The body is not valid JSON.'],
    [idempotent === true, 400, 'invalid-idempotency-key', 'The Idempotency-Key header is malformed.'],
    [needsCaller || !isPublic, 401, 'unauthenticated', 'The access token is missing or not valid.'],
    [needsCaller, 403, 'forbidden', 'The caller lacks permission.'],
    [params !== undefined, 404, 'not-found', 'The resource does not exist, or belongs to another user.'],
    [idempotent === true, 409, 'idempotency-key-in-use', 'The first request with this key is in progress.'],
    [
      etag === true && takesBody,
      412,
      'precondition-failed',
      'The resource has changed since the caller fetched it.',
    ],
    [takesBody, 413, 'too-large', 'The body is larger than 100 KB.'],
    [isPublic, 414, 'uri-too-long', 'The URL is longer than 8 KB.'],
    [takesBody, 415, 'unsupported-media-type', 'The Content-Type is not JSON.'],
    [takesBody, 415, 'unsupported-encoding', 'The content encoding is not supported.'],
    [takesBody, 415, 'unsupported-charset', 'The charset is not UTF-8.'],
    [takesBody, 422, 'invalid-input', 'A field of the body is invalid.'],
    [idempotent === true, 422, 'idempotency-key-reused', 'The key was used for a different request.'],
    [isPublic && rateLimit !== 'none', 429, 'too-many-requests', 'The caller sent too many requests.'],
    [isPublic, 431, 'headers-too-large', 'The URL and the headers together are larger than 16 KB.'],
    [true, 503, 'unavailable', 'The service is temporarily unavailable.'],
  ];
  const all = [
    ...implied.flatMap(([applies, status, slug, description]) =>
      applies ? [{ status, slug, description }] : [],
    ),
    ...Object.entries(problems).map(([slug, problem]) => ({ slug, ...problem })),
  ];
  const statuses = [...new Set(all.map(({ status }) => status))];
  return Object.fromEntries(
    statuses.map((status) => [status, problemResponse(all.filter((problem) => problem.status === status))]),
  );
}

function problemResponse(problems: { slug: string; description: string }[]): Json {
  const types = problems.map(({ slug }) => `${PROBLEM_TYPE}${slug}`);
  return {
    description: problems.map(({ slug, description }) => `\`${slug}\`: ${description}`).join(' '),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { type: { enum: types } } }],
        },
      },
    },
  };
}
