import {
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
} from '@opentelemetry/api';
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** What is known of the request in hand; every log line of the request carries it. */
export interface RequestFields {
  request_id: string;
  [field: string]: string;
}

const FIELDS = createContextKey('sidecart request fields');

/**
 * Runs `fn` as part of the request that these headers belong to: W3C trace context
 * (https://www.w3.org/TR/trace-context/) is taken over from them, log lines get `fields`.
 */
export function runInRequest<T>(
  headers: Record<string, string | string[] | undefined>,
  fields: RequestFields,
  fn: () => T,
): T {
  const incoming = propagation.extract(context.active(), headers);
  return context.with(incoming.setValue(FIELDS, fields), fn);
}

/** Runs `fn` as part of the trace that these headers carry, still in the request in hand. */
export function resumeTrace<T>(headers: Record<string, string>, fn: () => T): T {
  return context.with(propagation.extract(context.active(), headers), fn);
}

/** The id of a request: the caller's own where it is one that can stand in a log, else a new one. */
export function requestIdFrom(given: string | undefined): string {
  return given !== undefined && /^[\w.-]{1,64}$/.test(given) ? given : uuidv7();
}

/** Adds fields, such as the order's id, to all further log lines of this request. */
export function addRequestFields(fields: Record<string, string>): void {
  const known = context.active().getValue(FIELDS) as RequestFields | undefined;
  if (known) Object.assign(known, fields);
}

/** The fields for a log line: those of the request and the id of its trace. */
export function requestFields(): Record<string, string> {
  const active = context.active();
  const fields = active.getValue(FIELDS) as RequestFields | undefined;
  const traceId = trace.getSpanContext(active)?.traceId;
  return { ...fields, ...(traceId ? { trace_id: traceId } : {}) };
}

/** The id of the request in hand, for problem documents and outgoing calls. */
export function requestId(): string | undefined {
  return (context.active().getValue(FIELDS) as RequestFields | undefined)?.request_id;
}

/** The headers which carry the trace and the request id on to the next hop. */
export function outgoingHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  const id = requestId();
  if (id) headers['x-request-id'] = id;
  return headers;
}

/** Remembers the context of now, so that work done later for this caller stays in the caller's trace. */
export function captureContext(): Context {
  return context.active();
}

/** Runs `fn` in a context kept by `captureContext`. */
export function runInContext<T>(captured: Context, fn: () => T): T {
  return context.with(captured, fn);
}

/**
 * Runs `fn` in a trace that nobody keeps: for what belongs to no request, and would otherwise be a trace of its own at
 * every sidecar on its way.
 */
export function outOfTrace<T>(fn: () => T): T {
  const span = {
    traceId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    traceFlags: TraceFlags.NONE,
  };
  return context.with(trace.setSpanContext(ROOT_CONTEXT, span), fn);
}
