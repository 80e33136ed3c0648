import { waitFor } from './wait.ts';

interface Span {
  id: string;
  parentId?: string;
  name?: string;
  localEndpoint?: { serviceName?: string };
}

/** The calls between services in a trace, as `parent -> child`. */
async function edgesOf(zipkin: string, traceId: string): Promise<Set<string>> {
  const response = await fetch(`${zipkin}/api/v2/trace/${traceId}`, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) return new Set();
  const spans = (await response.json()) as Span[];
  // A server span may have the same id as its client span.
  const services = new Map<string, Set<string>>();
  for (const span of spans) {
    const known = services.get(span.id) ?? new Set();
    services.set(span.id, known.add(serviceOf(span)));
  }
  const edges = spans.flatMap((span) =>
    [...(services.get(span.parentId ?? '') ?? []), ...(services.get(span.id) ?? [])].map(
      (parent) => `${parent} -> ${serviceOf(span)}`,
    ),
  );
  return new Set(edges.filter((edge) => new Set(edge.split(' -> ')).size === 2));
}

const serviceOf = (span: Span) => span.localEndpoint?.serviceName ?? '?';

/** Waits until the trace has all of these edges. Services export spans a few seconds late. */
export function waitForEdges(
  zipkin: string,
  traceId: string,
  wanted: readonly string[],
): Promise<Set<string>> {
  return waitFor(`trace ${traceId} has ${wanted.join(', ')}`, () => edgesOf(zipkin, traceId), {
    until: (edges) => wanted.every((edge) => edges.has(edge)),
    timeoutMs: 30_000,
  });
}
