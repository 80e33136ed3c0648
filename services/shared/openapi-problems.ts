import type { Operation } from './api.ts';
import { PROBLEM_TYPE } from './problem.ts';

export type Json = Record<string, unknown>;

/** Who the document is for: the callers of the gateway, or the sidecar of a service. */
export type Audience = 'world' | 'sidecar';

/** Every problem that an operation can bring, by status: what follows from its parts, and what it names itself. */
export function problemsOf(operation: Operation, audience: Audience): Json {
  const { access, limit, params, query, body, idempotent, tagged, problems = {} } = operation;
  const isForWorld = audience === 'world';
  const needsCaller = access === 'customer' || access === 'admin';
  const takesBody = body !== undefined;
  const following: [applies: boolean, status: number, slug: string, when: string][] = [
    [true, 400, 'bad-request', 'The request cannot be read.'],
    [query !== undefined, 400, 'invalid-query', 'Parameters of the query are not valid.'],
    [takesBody, 400, 'malformed-json', 'The body is not JSON.'],
    [idempotent === true, 400, 'invalid-idempotency-key', 'The key is none.'],
    [needsCaller || !isForWorld, 401, 'unauthenticated', 'There is no access token, or it is not valid.'],
    [needsCaller, 403, 'forbidden', 'This is not for the caller.'],
    [params !== undefined, 404, 'not-found', 'There is no such thing, or it is not the caller’s to see.'],
    [
      idempotent === true,
      409,
      'idempotency-key-in-use',
      'The first request with this key is being worked on.',
    ],
    [tagged === true && takesBody, 412, 'precondition-failed', 'It has changed since the caller read it.'],
    [takesBody, 413, 'too-large', 'The body is larger than 100 KB.'],
    [isForWorld, 414, 'uri-too-long', 'The target is longer than 8 KB.'],
    [takesBody, 415, 'unsupported-media-type', 'The body is not sent as JSON.'],
    [takesBody, 415, 'unsupported-encoding', 'The content encoding is not known.'],
    [takesBody, 415, 'unsupported-charset', 'The charset is not UTF-8.'],
    [takesBody, 422, 'invalid-input', 'Fields of the body are not valid.'],
    [idempotent === true, 422, 'idempotency-key-reused', 'The key was used for another request.'],
    [isForWorld && limit !== 'none', 429, 'too-many-requests', 'The caller asks too often.'],
    [isForWorld, 431, 'headers-too-large', 'The target and the headers together are larger than 16 KB.'],
    [true, 503, 'unavailable', 'It cannot be answered right now.'],
  ];
  const all = [
    ...following.flatMap(([applies, status, slug, when]) => (applies ? [{ status, slug, when }] : [])),
    ...Object.entries(problems).map(([slug, problem]) => ({ slug, ...problem })),
  ];
  const statuses = [...new Set(all.map(({ status }) => status))];
  return Object.fromEntries(
    statuses.map((status) => [status, problemResponse(all.filter((problem) => problem.status === status))]),
  );
}

function problemResponse(problems: { slug: string; when: string }[]): Json {
  const types = problems.map(({ slug }) => `${PROBLEM_TYPE}${slug}`);
  return {
    description: problems.map(({ slug, when }) => `\`${slug}\`: ${when}`).join(' '),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { type: { enum: types } } }],
        },
      },
    },
  };
}
