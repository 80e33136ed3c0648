import { context, diag, DiagLogLevel, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';
import type { Logger } from './logger.ts';
import {
  boundedExporter,
  createSpanExporter,
  oncePerMinute,
  problemOf,
  type ExportConfig,
} from './span-exporter.ts';

/** The samplers of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ that follow the caller. */
export const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** The settings of `baseConfig` for sampling. They may change at run time. */
interface SamplingConfig {
  OTEL_TRACES_SAMPLER?: (typeof SAMPLERS)[number] | undefined;
  OTEL_TRACES_SAMPLER_ARG?: number | undefined;
  TRACES_PER_SECOND: number;
}

/** The settings of `baseConfig` for traces. */
interface TracingConfig extends ExportConfig, SamplingConfig {
  OTEL_SERVICE_NAME?: string | undefined;
}

/**
 * Installs OpenTelemetry for this process: context across async calls, W3C headers, and the export of spans. The sidecars trace the
 * calls between services. A service adds only spans of its own steps.
 *
 * Requests never wait for the export. The queue has room for 2,048 spans, and drops further ones. One log line per minute reports
 * failed exports and dropped spans.
 *
 * @param service the name in traces, unless OTEL_SERVICE_NAME is set
 * @param current the settings for sampling, which may change
 * @returns a function that exports the remaining spans and stops
 */
export async function startTracing(
  service: string,
  config: TracingConfig,
  log: Logger,
  current: () => SamplingConfig = () => config,
): Promise<() => Promise<void>> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const report = oncePerMinute((problem, suppressed) =>
    log.warn({ problem, suppressed }, 'exporting spans failed'),
  );
  setGlobalErrorHandler((error) => report(problemOf(error)));
  // The queue warns of dropped spans.
  const silent = () => {};
  diag.setLogger(
    { error: report, warn: report, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const exporter = await createSpanExporter(config);
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: rootSampler(current) }),
    resource: defaultResource().merge(
      resourceFromAttributes({ 'service.name': config.OTEL_SERVICE_NAME ?? service }),
    ),
    spanProcessors: exporter ? [new BatchSpanProcessor(boundedExporter(exporter))] : [],
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/** Decides about the traces that start in this process. The sidecars and the next services follow the decision. */
function rootSampler(current: () => SamplingConfig): Sampler {
  const reservoir = reservoirSampler(
    () => current().TRACES_PER_SECOND,
    () => performance.now(),
  );
  function sampler(): Sampler {
    const { OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG = 1 } = current();
    switch (OTEL_TRACES_SAMPLER) {
      case undefined:
        return reservoir;
      case 'parentbased_always_on':
        return new AlwaysOnSampler();
      case 'parentbased_always_off':
        return new AlwaysOffSampler();
      case 'parentbased_traceidratio':
        return new TraceIdRatioBasedSampler(OTEL_TRACES_SAMPLER_ARG);
    }
  }
  return { shouldSample: (...span) => sampler().shouldSample(...span), toString: () => 'configured' };
}

/**
 * Samples at most `perSecond` traces per second of those that start in this process
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
