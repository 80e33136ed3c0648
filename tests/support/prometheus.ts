/** A series of an answer of Prometheus: https://prometheus.io/docs/prometheus/latest/querying/api/. */
export interface Series {
  metric: Record<string, string>;
  values: [time: number, value: string][];
}

/** Calls the API of a Prometheus. @throws Error with its reason, for example if a query does not parse */
export async function askPrometheus<T>(
  address: string,
  path: string,
  parameters: Record<string, string> = {},
): Promise<T> {
  const response = await fetch(`${address}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, {
    signal: AbortSignal.timeout(20_000),
  });
  const answer = (await response.json()) as { status: string; error?: string; data: T };
  if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
  return answer.data;
}

/** The values of a query in the last five minutes, as a graph shows them. */
export async function valuesOf(address: string, query: string): Promise<Series[]> {
  const end = Date.now() / 1000;
  const range = { start: String(end - 300), end: String(end), step: '5' };
  return (await askPrometheus<{ result: Series[] }>(address, 'query_range', { query, ...range })).result;
}

/** Whether a series has a number. A ratio without events has none. */
export const hasNumber = ({ values }: Series): boolean =>
  values.some(([, value]) => Number.isFinite(Number(value)));
