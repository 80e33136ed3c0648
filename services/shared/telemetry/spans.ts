import { SpanKind, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api';
import { orderAttributes } from './request-context.ts';

export const tracer = () => trace.getTracer('sidecart');

/**
 * Runs `fn` in a span that is named after the business step, such as `reserve stock`. The span has the `order.id` of the request. An
 * error marks the span. Attributes follow https://opentelemetry.io/docs/specs/semconv/ and contain no personal data.
 */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  fn: () => Promise<T>,
  kind: SpanKind = SpanKind.INTERNAL,
): Promise<T> {
  const options = { attributes: { ...orderAttributes(), ...attributes }, kind };
  return tracer().startActiveSpan(name, options, async (span) => {
    try {
      return await fn();
    } catch (error) {
      if (isRefusal(error)) span.setAttribute('error.type', errorType(error));
      else markFailed(span, errorType(error));
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Runs `fn` in the span in which a service processes an event: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. */
export function inProcessSpan<T>(topic: string, messageId: string, fn: () => Promise<T>): Promise<T> {
  const attributes = {
    'messaging.system': 'dapr',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': topic,
    'messaging.message.id': messageId,
  };
  return inSpan(`process ${topic}`, attributes, fn, SpanKind.CONSUMER);
}

/** Marks a span as failed. @param type a short, bounded name of the error: spans contain no messages, which may quote data */
export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR, message: type });
}

/** Whether the caller is to blame: a problem with a 4xx status. The span has its type, but does not count as failed. */
function isRefusal(error: unknown): boolean {
  const { slug, status } = (error ?? {}) as { slug?: unknown; status?: unknown };
  return slug !== undefined && typeof status === 'number' && status < 500;
}

/** The code of an error, the slug of a problem, or the name of the class. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code, slug } = error as { code?: unknown; slug?: unknown };
  return [code, slug].find((name) => typeof name === 'string') ?? error.constructor.name;
}

/**
 * Records in the current span why a step is undone.
 *
 * @param reason a text of this system, never one that a person wrote. It is in the name, because Zipkin shows nothing else of an event.
 */
export function recordCompensation(reason: string): void {
  trace.getActiveSpan()?.addEvent(`compensation: ${reason}`, { 'compensation.reason': reason });
}
