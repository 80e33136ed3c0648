/**
 * The targets of open circuit breakers, parsed from the metrics of a sidecar in Prometheus' text format. The metrics report a
 * breaker as open until its next trial call.
 */
export function parseOpenCircuitBreakers(metrics: string): string[] {
  const open = metrics
    .split('\n')
    .filter((line) => line.startsWith('dapr_resiliency_cb_state{') && line.endsWith('} 1'))
    .filter((line) => labelOf(line, 'status') === 'open')
    .map((line) => labelOf(line, 'target'));
  return [...new Set(open)].toSorted();
}

function labelOf(line: string, name: string): string {
  return new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? '';
}
