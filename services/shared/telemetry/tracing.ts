import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  SamplingDecision,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';

/** The settings of `baseConfig` for traces. */
interface TracingConfig {
  ZIPKIN_ENDPOINT?: string | undefined;
  TRACES_PER_SECOND: number;
}

/**
 * Installs OpenTelemetry for this process: context across async calls, W3C headers, and the export of spans to
 * `ZIPKIN_ENDPOINT`. The sidecars trace the calls between services. A service adds only spans of its own steps.
 *
 * @param tracesPerSecond the maximum of traces that start in this process per second
 * @returns a function that exports the remaining spans and stops
 */
export function startTracing(
  service: string,
  { ZIPKIN_ENDPOINT: url, TRACES_PER_SECOND }: TracingConfig,
  tracesPerSecond: () => number = () => TRACES_PER_SECOND,
): () => Promise<void> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = url ? [new BatchSpanProcessor(new ZipkinExporter({ url }))] : [];
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: reservoirSampler(tracesPerSecond, () => performance.now()) }),
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': service })),
    spanProcessors,
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/**
 * Samples at most `perSecond` traces per second of those that start in this process. The sidecars follow this decision
 * (services/decisions/0127-traces-per-second.md).
 *
 * @param now monotonic milliseconds
 */
export function reservoirSampler(perSecond: () => number, now: () => number): Sampler {
  let second = 0;
  let taken = 0;
  return {
    shouldSample() {
      const current = Math.floor(now() / 1000);
      if (current !== second) [second, taken] = [current, 0];
      taken += 1;
      const decision =
        taken > perSecond() ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED;
      return { decision };
    },
    toString: () => `reservoir of ${perSecond()} a second`,
  };
}
