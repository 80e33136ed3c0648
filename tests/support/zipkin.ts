import { waitFor } from './wait.ts';

/** A span in the form of https://zipkin.io/zipkin-api/. */
export interface Span {
  id: string;
  parentId?: string;
  name?: string;
  kind?: string;
  localEndpoint?: { serviceName?: string };
  tags?: Record<string, string>;
  annotations?: { value: string }[];
}

/** All spans of a trace so far. */
export async function spansOf(zipkin: string, traceId: string): Promise<Span[]> {
  const response = await fetch(`${zipkin}/api/v2/trace/${traceId}`, { signal: AbortSignal.timeout(5_000) });
  return response.ok ? ((await response.json()) as Span[]) : [];
}

/** The calls between services in a trace, as `parent -> child`. */
function edgesOf(spans: readonly Span[]): Set<string> {
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
  const edges = async () => edgesOf(await spansOf(zipkin, traceId));
  return waitFor(`trace ${traceId} has ${wanted.join(', ')}`, edges, {
    until: (found) => wanted.every((edge) => found.has(edge)),
    timeoutMs: 30_000,
  });
}

/** Whether a service reported the span, and not its sidecar. */
export const isOfService = ({ tags }: Span) => tags?.['telemetry.sdk.language'] === 'nodejs';

/** What tells apart the steps of one name. */
const DETAILS = ['order.trigger', 'shipment.trigger', 'email.kind'];

/** The name of a step: service, span, and what tells it apart. Zipkin writes names in small letters. */
export const stepOf = (span: Span): string =>
  [serviceOf(span), span.name, ...DETAILS.flatMap((detail) => span.tags?.[detail] ?? [])].join(' ');

/**
 * The edges between the spans of services: `parent -> child` where the child follows at once, `parent => child` where the spans of
 * sidecars are in between. A step without a parent in the trace follows `client`.
 */
export function stepEdges(spans: readonly Span[]): Set<string> {
  const byId = new Map(spans.map((span) => [span.id, span]));
  function edgeTo(step: Span): string {
    let parent = byId.get(step.parentId ?? '');
    const arrow = parent && !isOfService(parent) ? '=>' : '->';
    while (parent && !isOfService(parent)) parent = byId.get(parent.parentId ?? '');
    return `${parent ? stepOf(parent) : 'client'} ${arrow} ${stepOf(step)}`;
  }
  return new Set(spans.filter(isOfService).map(edgeTo));
}
