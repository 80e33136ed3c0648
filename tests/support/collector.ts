import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { cacheDir, ensureFolder } from '../../deploy/local/machine/paths.ts';
import {
  readOutput,
  startProcess,
  waitFor,
  type RunningProcess,
} from '../../deploy/local/machine/processes.ts';
import { isPortInUse } from '../../deploy/local/machine/tcp-ports.ts';
import { buildWithGo, moduleFolder } from '../../deploy/local/programs/go-build.ts';

/** A span of https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, with the name of its service. */
export interface CollectedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  /** Whether the sidecar of the service reported it. */
  isOfSidecar: boolean;
}

interface Attribute {
  key: string;
  value: { stringValue?: string };
}

interface TracesData {
  resourceSpans?: {
    resource?: { attributes?: Attribute[] };
    scopeSpans?: { spans?: Omit<CollectedSpan, 'service' | 'isOfSidecar'>[] }[];
  }[];
}

/**
 * A real OpenTelemetry Collector, built with Go, once, into the cache: half a minute. It receives OTLP over HTTP at the port, and
 * sends what it received to this program.
 */
export async function startCollector(
  port: number,
  logDir: string,
): Promise<{ process: RunningProcess; spans: CollectedSpan[]; stop: () => Promise<void> }> {
  const spans: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      spans.push(...spansIn(JSON.parse(Buffer.concat(chunks).toString()) as TracesData));
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = join(logDir, 'collector.json');
  writeFileSync(config, JSON.stringify(configuration(port, target)));
  const program = await findOrBuildCollector(() => {});
  const process = startProcess('collector', program, [`--config=file:${config}`], { logDir });
  await waitFor('the collector', () => isPortInUse(port), { process });
  return {
    process,
    spans,
    async stop() {
      await process.stop();
      server.close();
    },
  };
}

/** https://opentelemetry.io/docs/collector/configuration/ */
const configuration = (port: number, target: string) => ({
  receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
  exporters: { otlp_http: { endpoint: target, encoding: 'json', compression: 'none' } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http'] } },
  },
});

function spansIn({ resourceSpans = [] }: TracesData): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const attributes = new Map(resource?.attributes?.map(({ key, value }) => [key, value.stringValue]));
    const service = attributes.get('service.name') ?? '?';
    const isOfSidecar = attributes.get('telemetry.sdk.language') !== 'nodejs';
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => ({ ...span, service, isOfSidecar })));
  });
}

/** Builds the collector into the cache if it is missing, which takes minutes. @returns its path */
export async function findOrBuildCollector(onProgress: (step: string) => void): Promise<string> {
  const versions = readFileSync(join(moduleFolder('otelcol'), 'go.mod'), 'utf8');
  const version = /go\.opentelemetry\.io\/collector\/otelcol v(\S+)/.exec(versions)?.[1];
  if (version === undefined) throw new Error('toolchain/otelcol/go.mod names no version of the collector.');
  const program = join(ensureFolder(cacheDir, `otelcol-${version}`), 'otelcol');
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined)
    throw new Error('Go, with which the collector is built, is not on this machine.');
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'otelcol-build.log');
  onProgress(`building the OpenTelemetry Collector with Go (once; some minutes), log: ${logFile}`);
  await buildWithGo({ program, module: 'otelcol', flags: ['-ldflags', '-s -w'], source: '.', logFile });
  return program;
}
