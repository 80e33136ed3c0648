import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { fulfilmentApi } from '../../fulfilment/api.ts';
import type { historyApi } from '../../history/api.ts';
import type { inventoryApi } from '../../inventory/api.ts';
import type { ordersApi } from '../../orders/api.ts';
import type { paymentsApi } from '../../payments/api.ts';
import type { Operation } from '../../shared/api.ts';
import type { problemSchema } from '../../shared/problem.ts';
import type { usersApi } from '../../users/api.ts';
import type { gatewayApi } from '../api.ts';

/** The tables that the gateway's routes and the OpenAPI document are made of, as types: nothing is left of them at run time. */
type Tables = typeof gatewayApi &
  typeof ordersApi &
  typeof inventoryApi &
  typeof paymentsApi &
  typeof usersApi &
  typeof historyApi &
  typeof fulfilmentApi;

/** What the gateway does not have, and what is no answer but a stream of them. */
type NotCalled = { access: 'internal' } | { mediaType: 'text/event-stream' };

/** Every operation that a caller can call, by its address. */
export type Api = { [A in keyof Tables as Tables[A] extends NotCalled ? never : A]: Tables[A] };

/** `GET /api/orders/:id` */
export type CallAddress = keyof Api;

/** What a caller writes; where the server reads a number from text, that number. */
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

/** What follows the address: may be left out where the operation needs nothing. */
export type CallArguments<A extends CallAddress> =
  object extends CallInput<Api[A]> ? [input?: CallInput<Api[A]>] : [input: CallInput<Api[A]>];

/** What an operation answers with success. */
export type CallBody<A extends CallAddress> = Api[A] extends { answer: infer S extends z.ZodType }
  ? z.output<S>
  : undefined;

/** RFC 9457 */
export type ProblemDocument = z.output<typeof problemSchema>;

/** An answer of the API, whatever its status. */
export type Answer<Body> = Success<Body> | Failure;

export interface Success<Body> {
  ok: true;
  /** 2xx */
  status: number;
  /** Names in lower case. */
  headers: IncomingHttpHeaders;
  /** Parsed where it is JSON, text otherwise, undefined where there is none. As the server says: it is not checked. */
  body: Body;
}

export interface Failure {
  ok: false;
  /** Any other: also 304, which has nothing to give. */
  status: number;
  headers: IncomingHttpHeaders;
  /** The problem as the API tells it; one made up around the text where whoever answers tells none. */
  body: ProblemDocument;
}
