import { until } from './wait.ts';

interface Span {
  id: string;
  parentId?: string;
  name?: string;
  localEndpoint?: { serviceName?: string };
}

/** Which services follow which in a trace, as `parent -> child`; hops within a service are left out. */
async function edgesOf(zipkin: string, traceId: string): Promise<Set<string>> {
  const response = await fetch(`${zipkin}/api/v2/trace/${traceId}`, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) return new Set();
  const spans = (await response.json()) as Span[];
  // A server span may share its id with the client span that called it: both have to be looked at.
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

/** Waits until all of these edges are in the trace; spans are exported a few seconds late. */
export function untilEdges(zipkin: string, traceId: string, wanted: readonly string[]): Promise<Set<string>> {
  return until(
    `trace ${traceId} has ${wanted.join(', ')}`,
    () => edgesOf(zipkin, traceId),
    (edges) => wanted.every((edge) => edges.has(edge)),
    30_000,
  );
}
