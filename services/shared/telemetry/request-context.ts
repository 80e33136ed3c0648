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

/** Fields of the current request. Every log line of the request contains them. */
export interface RequestFields {
  request_id: string;
  [field: string]: string;
}

const FIELDS = createContextKey('sidecart request fields');

/**
 * Runs `fn` in the context of a request. The trace continues from the W3C trace context (https://www.w3.org/TR/trace-context/)
 * of the headers, and log lines contain `fields`.
 */
export function runInRequest<T>(
  headers: Record<string, string | string[] | undefined>,
  fields: RequestFields,
  fn: () => T,
): T {
  const incoming = propagation.extract(context.active(), headers);
  return context.with(incoming.setValue(FIELDS, fields), fn);
}

/** The id of a request: the id that the caller sent if it is safe for logs, or a new id. */
export function requestIdFrom(given: string | undefined): string {
  return given !== undefined && /^[\w.-]{1,64}$/.test(given) ? given : uuidv7();
}

/**
 * Adds fields to all further log lines of the current request. `order_id` also becomes `order.id` of the current span and of its
 * business steps.
 */
export function addRequestFields(fields: Record<string, string>): void {
  const known = context.active().getValue(FIELDS) as RequestFields | undefined;
  if (known) Object.assign(known, fields);
  if (fields['order_id'] !== undefined) trace.getActiveSpan()?.setAttribute('order.id', fields['order_id']);
}

/** The attribute `order.id` of the spans of this request, as soon as the request is known to concern one order. */
export function orderAttributes(): { 'order.id'?: string } {
  const fields = context.active().getValue(FIELDS) as RequestFields | undefined;
  return fields?.['order_id'] === undefined ? {} : { 'order.id': fields['order_id'] };
}

/** The fields of a log line: the fields of the request, and the ids of its trace and span. */
export function requestFields(): Record<string, string> {
  const active = context.active();
  const fields = active.getValue(FIELDS) as RequestFields | undefined;
  const span = trace.getSpanContext(active);
  // A server span, which is in the fields, is not active when its request is logged.
  return { ...(span ? { trace_id: span.traceId, span_id: span.spanId } : {}), ...fields };
}

/** The labels of an exemplar: the current trace if it is sampled. Other traces cannot be looked up. */
export function exemplarLabels(): { trace_id: string } | undefined {
  const span = trace.getSpanContext(context.active());
  return span && span.traceFlags & TraceFlags.SAMPLED ? { trace_id: span.traceId } : undefined;
}

/** The W3C trace context of the current span if it is sampled, to continue the trace later. */
export function sampledTraceparent(): string | undefined {
  const active = context.active();
  const isSampled = (trace.getSpanContext(active)?.traceFlags ?? 0) & TraceFlags.SAMPLED;
  return isSampled ? outgoingHeaders()['traceparent'] : undefined;
}

/** The id of the current request, for problem documents and outgoing calls. */
export function requestId(): string | undefined {
  return (context.active().getValue(FIELDS) as RequestFields | undefined)?.request_id;
}

/** The headers that pass the trace and the request id to the next service. */
export function outgoingHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  const id = requestId();
  if (id) headers['x-request-id'] = id;
  return headers;
}

/** Captures the current context, so that later work for this caller stays in the caller's trace. */
export function captureContext(): Context {
  return context.active();
}

/** Runs `fn` in a context of `captureContext`. */
export function runInContext<T>(captured: Context, fn: () => T): T {
  return context.with(captured, fn);
}

/**
 * Runs `fn` in an unsampled trace. Periodic calls use it, because each call would otherwise start a trace at every sidecar.
 */
export function withoutTrace<T>(fn: () => T): T {
  const span = {
    traceId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    traceFlags: TraceFlags.NONE,
  };
  return context.with(trace.setSpanContext(ROOT_CONTEXT, span), fn);
}
