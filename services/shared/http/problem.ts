import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { addRequestFields, requestId } from '../telemetry/request-context.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ConflictError, SidecarError } from '../dapr/sidecar-call.ts';
import { QueueFullError } from '../util/batcher.ts';
import { InvalidCursorError } from '../util/cursor.ts';

/** The prefix of every problem type. The slug of the problem follows. */
export const PROBLEM_TYPE = 'urn:sidecart:problem:';

/** The body of every error response: RFC 9457 problem details. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  request_id: z.string(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

export interface FieldError {
  /** The path of the field with dots: `items.0.quantity`. */
  field: string;
  message: string;
}

/** An error response. Route handlers and the functions they call throw it; the error handler sends it. */
export class ProblemError extends Error {
  readonly status: number;
  readonly slug: string;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  /**
   * @param status HTTP status
   * @param slug last part of the problem's `type`; clients may match on it, so it never changes
   * @param detail what is wrong and what the caller can do; no internals
   */
  constructor(
    status: number,
    slug: string,
    detail: string,
    more: { errors?: FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.status = status;
    this.slug = slug;
    this.errors = more.errors;
    this.headers = { ...retryHeaders(status), ...more.headers };
  }
}

/** `Retry-After` in seconds for 429 and 503 (RFC 9110, 10.2.3; RFC 6585, 4). */
export const retryHeaders = (status: number): Record<string, string> =>
  status === 429 || status === 503 ? { 'retry-after': '1' } : {};

/** A request is shed because of overload. Nothing of the request was executed. */
export class OverloadedError extends ProblemError {
  constructor(detail: string, retryAfterSeconds = 1) {
    super(503, 'unavailable', detail, { headers: { 'retry-after': String(retryAfterSeconds) } });
  }
}

export const notFound = (what: string) =>
  new ProblemError(404, 'not-found', `${what.charAt(0).toUpperCase()}${what.slice(1)} not found.`);
export const forbidden = (detail: string) => new ProblemError(403, 'forbidden', detail);
export const unavailable = (detail = 'The service is temporarily unavailable. Try again later.') =>
  new ProblemError(503, 'unavailable', detail);

const invalidCursor = () =>
  new ProblemError(400, 'invalid-query', 'The cursor does not belong to this list.', {
    errors: [{ field: 'cursor', message: 'must be a next_cursor of this list' }],
  });

/** Problems for the errors of Express's body parser: https://github.com/expressjs/body-parser#errors. */
const BODY_ERRORS: Record<string, ProblemError> = {
  'entity.parse.failed': new ProblemError(400, 'malformed-json', 'The body is not valid JSON.'),
  'entity.too.large': new ProblemError(413, 'too-large', 'The body is larger than 100 KB.'),
  'encoding.unsupported': new ProblemError(
    415,
    'unsupported-encoding',
    'The content encoding is not supported. Use gzip, deflate, br or identity.',
  ),
  'charset.unsupported': new ProblemError(
    415,
    'unsupported-charset',
    'The charset is not supported. Use UTF-8.',
  ),
};

/** The problem to send for an error. It contains no internals. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof QueueFullError)
    return new OverloadedError('Too many requests are waiting. Try again later.');
  if (error instanceof InvalidCursorError) return invalidCursor();
  if (error instanceof SidecarError || error instanceof ConflictError) return unavailable();
  const { type, status } = (error ?? {}) as { type?: string; status?: number };
  const known = type ? BODY_ERRORS[type] : undefined;
  if (known) return known;
  if (status && status >= 400 && status < 500)
    return new ProblemError(status, 'bad-request', 'The request is malformed.');
  return new ProblemError(
    500,
    'internal-error',
    'An internal error occurred. Report the `request_id` if the error persists.',
  );
}

/** Sends a problem document (`application/problem+json`). `more` adds members to it. */
export function sendProblem(res: Response, problem: ProblemError, more: Record<string, unknown> = {}): void {
  res
    .status(problem.status)
    .set({ 'cache-control': 'no-store', ...problem.headers })
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: `${PROBLEM_TYPE}${problem.slug}`,
        title: STATUS_CODES[problem.status] ?? 'Error',
        status: problem.status,
        detail: problem.message,
        instance: res.req.originalUrl.split('?')[0],
        request_id: requestId() ?? '',
        ...(problem.errors ? { errors: problem.errors } : {}),
        ...more,
      }),
    );
}

/** The error handler of every app; it is the last handler. It logs errors with a 5xx status, except shed requests. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (error, _req, res, next) => {
    const problem = toProblem(error);
    addRequestFields({ problem: problem.slug });
    if (problem.status >= 500 && !(problem instanceof OverloadedError))
      log.error({ err: error }, 'request failed');
    if (res.headersSent) return next(error);
    sendProblem(res, problem);
  };
}

/** The handler after all routes: 404. */
export const notFoundHandler: RequestHandler = () => {
  throw new ProblemError(404, 'not-found', 'No route matches this URL.');
};
