import { context, propagation, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { BaseConfig } from './config.ts';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  SamplingDecision,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';

type TracingConfig = Pick<BaseConfig, 'ZIPKIN_ENDPOINT' | 'TRACES_PER_SECOND'>;

/**
 * Installs OpenTelemetry for this process: context that follows async calls, W3C headers, and, where
 * `ZIPKIN_ENDPOINT` (a v2 spans URL) is given, export of the service's own spans. The hops between services
 * are traced by the sidecars; a service adds only what it alone knows.
 *
 * @param config.TRACES_PER_SECOND traces that begin here per second, at most
 * @returns a function that sends what is left and stops.
 */
export function startTracing(service: string, config: TracingConfig): () => Promise<void> {
  const { ZIPKIN_ENDPOINT: url, TRACES_PER_SECOND: perSecond } = config;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = url ? [new BatchSpanProcessor(new ZipkinExporter({ url }))] : [];
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: reservoirSampler(perSecond, () => performance.now()) }),
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors,
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/**
 * Keeps at most `perSecond` traces per second, of those that begin here. The sidecars follow its decision
 * (services/decisions/0127-traces-per-second.md).
 *
 * @param now milliseconds of a clock that nobody sets
 */
export function reservoirSampler(perSecond: number, now: () => number): Sampler {
  let second = 0;
  let taken = 0;
  return {
    shouldSample() {
      const current = Math.floor(now() / 1000);
      if (current !== second) [second, taken] = [current, 0];
      taken += 1;
      const decision = taken > perSecond ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED;
      return { decision };
    },
    toString: () => `reservoir of ${perSecond} a second`,
  };
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
