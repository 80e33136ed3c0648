import { z } from 'zod';
import { fieldMessage } from '../schemas/field-message.ts';
import { notFound, ProblemError, unavailable, type FieldError } from './problem.ts';
import type { SidecarResponse } from '../dapr/sidecar-call.ts';

function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: [...issue.path, key].join('.'), message: 'is not a known field' }))
      : [{ field: issue.path.join('.'), message: issue.message }],
  );
}

/**
 * Parses a request body.
 *
 * @throws ProblemError 422 with every invalid field
 */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body ?? {}, { error: fieldMessage });
  if (result.success) return result.data;
  throw new ProblemError(422, 'invalid-input', 'The body has invalid fields. See `errors`.', {
    errors: fieldErrors(result.error),
  });
}

/**
 * Parses a query string.
 *
 * @throws ProblemError 400 with every invalid parameter
 */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, query: unknown): z.infer<Schema> {
  const result = schema.safeParse(query, { error: fieldMessage });
  if (result.success) return result.data;
  throw new ProblemError(400, 'invalid-query', 'The query has invalid parameters. See `errors`.', {
    errors: fieldErrors(result.error),
  });
}

/**
 * Parses one or all variables of a path.
 *
 * @param what the noun in the problem's detail
 * @throws ProblemError 404 for an invalid value, which therefore never becomes part of a state key
 */
export function parsePath<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  what: string,
): z.infer<Schema> {
  const result = schema.safeParse(given);
  if (!result.success) throw notFound(what);
  return result.data;
}

/**
 * Parses the response of another service.
 *
 * @throws ProblemError 503 for any status but 200
 */
export function parseResponse<Schema extends z.ZodType>(
  schema: Schema,
  { status, body }: SidecarResponse,
): z.infer<Schema> {
  if (status !== 200) throw unavailable();
  return schema.parse(JSON.parse(body.toString()));
}
