import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Operation } from '../../shared/api-docs/route-table.ts';
import type { Routes } from '../../services.ts';
import type { problemSchema } from '../../shared/http/problem.ts';

/** Routes that the client does not offer: internal routes and streams. */
type NotCallable = { access: 'internal' } | { mediaType: 'text/event-stream' };

/** Every operation of the client, by its address. */
export type Api = { [A in keyof Routes as Routes[A] extends NotCallable ? never : A]: Routes[A] };

/** `GET /api/orders/:id` */
export type CallAddress = keyof Api;

/** The input of a schema. If the server parses a number from text, the input is that number. */
type Given<Schema extends z.ZodType> = {
  [Name in keyof z.input<Schema>]: unknown extends z.input<Schema>[Name]
    ? z.output<Schema>[Name & keyof z.output<Schema>]
    : z.input<Schema>[Name];
};

type WithParams<O> = O extends { params: infer S extends z.ZodType } ? { params: z.input<S> } : unknown;

type WithQuery<O> = O extends { query: infer S extends z.ZodType }
  ? object extends Given<S>
    ? { query?: Given<S> | undefined }
    : { query: Given<S> }
  : unknown;

type WithBody<O> = O extends { body: infer S extends z.ZodType }
  ? undefined extends z.input<S>
    ? { body?: z.input<S> }
    : { body: z.input<S> }
  : unknown;

export interface CallHeaders {
  headers?: Record<string, string> | undefined;
}

/** The variables of the path, the query and the body of an operation. */
export type CallInput<O extends Operation> = CallHeaders & WithParams<O> & WithQuery<O> & WithBody<O>;

/** The arguments after the address. They are optional if the operation requires no input. */
export type CallArguments<A extends CallAddress> =
  object extends CallInput<Api[A]> ? [input?: CallInput<Api[A]>] : [input: CallInput<Api[A]>];

/** The body of a successful response. */
export type CallBody<A extends CallAddress> = Api[A] extends { response: infer S extends z.ZodType }
  ? z.output<S>
  : undefined;

/** RFC 9457 */
export type ProblemDocument = z.output<typeof problemSchema>;

/** A response of the API with any status. */
export type ApiResponse<Body> = Success<Body> | Failure;

export interface Success<Body> {
  ok: true;
  /** 2xx */
  status: number;
  /** The names are in lower case. */
  headers: IncomingHttpHeaders;
  /** Parsed JSON, or text, or undefined without a body. The client does not validate it. */
  body: Body;
}

export interface Failure {
  ok: false;
  /** Any status but 2xx, including 304. */
  status: number;
  headers: IncomingHttpHeaders;
  /** The problem document of the API. For any other response, the client builds one from its text. */
  body: ProblemDocument;
}
