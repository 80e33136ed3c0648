/**
 * The targets of the circuit breakers that are open, as a sidecar's metrics (in Prometheus' text format) tell it. A
 * breaker is said to be open until it is tried again.
 */
export function openBreakersIn(metrics: string): string[] {
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
