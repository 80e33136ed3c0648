import { context, propagation, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

/**
 * Installs OpenTelemetry for this process: context that follows async calls, W3C headers, and, where
 * `zipkinEndpoint` (a v2 spans URL) is given, export of the service's own spans. The hops between services
 * are traced by the sidecars; a service adds only what it alone knows.
 *
 * @returns a function that sends what is left and stops.
 */
export function startTracing(service: string, zipkinEndpoint: string | undefined): () => Promise<void> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = zipkinEndpoint
    ? [new BatchSpanProcessor(new ZipkinExporter({ url: zipkinEndpoint }))]
    : [];
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors,
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/** Runs `fn` in a span named by the business step that it is, such as `reserve stock`. Errors mark the span. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  fn: () => Promise<T>,
  kind: SpanKind = SpanKind.INTERNAL,
): Promise<T> {
  return trace.getTracer('sidecart').startActiveSpan(name, { attributes, kind }, async (span) => {
    try {
      return await fn();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}
