/**
 * The OpenTelemetry collector of this environment, instead of Zipkin; undefined without one. Services and sidecars read the same
 * variable.
 */
export const collectorEndpoint = (): string | undefined =>
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;
