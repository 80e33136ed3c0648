import { parseDocument } from 'yaml';
import { stringifyDocuments, type Files } from './component-files.ts';

/**
 * The OpenTelemetry collector of this environment, instead of Zipkin; undefined without one. Services and sidecars read the same
 * variable.
 */
export const collectorEndpoint = (): string | undefined =>
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;

/** The component files without Zipkin, because a sidecar would report to both. */
export function withoutZipkin(files: Files): Files {
  const name = 'configuration.yaml';
  const configuration = parseDocument(files.get(name) ?? '');
  configuration.deleteIn(['spec', 'tracing', 'zipkin']);
  return new Map(files).set(name, stringifyDocuments([configuration]));
}
