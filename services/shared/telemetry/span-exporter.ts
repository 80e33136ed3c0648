import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';

/** The settings of `baseConfig` for the export of spans. */
export interface ExportConfig {
  OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  OTEL_EXPORTER_OTLP_HEADERS?: Record<string, string> | undefined;
  ZIPKIN_ENDPOINT?: string | undefined;
}

/** How long an export may take. It is shorter than the time that a stopping process has. */
const EXPORT_TIMEOUT_MS = 5_000;
/** The maximum of exports in progress. Each has 512 spans at most. */
const MAX_EXPORTS = 4;
const REPORT_INTERVAL_MS = 60_000;

/**
 * Creates the exporter to the OpenTelemetry collector or, without one, to Zipkin. Only that exporter is loaded, because each needs
 * memory (services/decisions/0112-memory-at-rest.md).
 */
export async function createSpanExporter(config: ExportConfig): Promise<SpanExporter | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = config;
  if (collector !== undefined) {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    return new OTLPTraceExporter({
      url: `${collector}/v1/traces`,
      headers,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    });
  }
  if (config.ZIPKIN_ENDPOINT === undefined) return undefined;
  const { ZipkinExporter } = await import('@opentelemetry/exporter-zipkin');
  return new ZipkinExporter({ url: config.ZIPKIN_ENDPOINT });
}

/**
 * Bounds the time and the number of exports in progress. An exporter to Zipkin waits for ever for a server that accepts a request and
 * does not answer.
 */
export function boundedExporter(exporter: SpanExporter): SpanExporter {
  let exports = 0;
  return {
    export(spans, done) {
      const fail = (problem: string) => done({ code: ExportResultCode.FAILED, error: new Error(problem) });
      if (exports >= MAX_EXPORTS) return fail('earlier exports are still in progress');
      exports += 1;
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        fail(`no answer within ${EXPORT_TIMEOUT_MS} ms`);
      }, EXPORT_TIMEOUT_MS);
      exporter.export(spans, (result) => {
        exports -= 1;
        clearTimeout(timer);
        if (!isLate) done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

/** The message of a failed export. An error for several addresses of one host has only a code. */
export function problemOf(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: string; code?: unknown };
  return message || String(code ?? error);
}

/**
 * Limits reports to one per minute. The next report has the number of those in between.
 *
 * @param now monotonic milliseconds
 */
export function oncePerMinute(
  report: (problem: string, suppressed: number) => void,
  now: () => number = () => performance.now(),
): (problem: string) => void {
  let next = -Infinity;
  let suppressed = 0;
  return (problem) => {
    if (now() < next) return void suppressed++;
    next = now() + REPORT_INTERVAL_MS;
    report(problem, suppressed);
    suppressed = 0;
  };
}
