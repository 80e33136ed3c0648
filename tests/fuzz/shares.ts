import { z } from 'zod';

/** How many requests an operation got, and how many of them it answered with 2xx. */
export interface Share {
  /** `GET /api/orders/{id}` */
  operation: string;
  cases: number;
  successes: number;
}

/** A tenth: an operation that refuses more than the rest has hardly been tested. */
export const LEAST_SHARE = 0.1;

/** What is read of an event of the report; all others are of other kinds, and count for nothing. */
const scenarioFinished = z.object({
  ScenarioFinished: z.object({
    recorder: z.object({
      cases: z
        .record(z.string(), z.object({ value: z.object({ method: z.string(), path: z.string() }) }))
        .default({}),
      interactions: z
        .record(z.string(), z.object({ response: z.object({ status_code: z.int() }).optional() }))
        .default({}),
    }),
  }),
});

/**
 * Counts the requests in reports of Schemathesis.
 *
 * @param lines of its NDJSON reports
 * @param operations those that are asked about; requests by methods that are not documented are of none
 */
export function sharesOf(lines: Iterable<string>, operations: readonly string[]): Share[] {
  const shares = new Map(operations.map((operation) => [operation, { operation, cases: 0, successes: 0 }]));
  for (const line of lines) {
    const { success, data } = scenarioFinished.safeParse(JSON.parse(line));
    if (!success) continue;
    const { cases, interactions } = data.ScenarioFinished.recorder;
    for (const [id, { value }] of Object.entries(cases)) {
      const share = shares.get(`${value.method} ${value.path}`);
      if (!share) continue;
      const status = interactions[id]?.response?.status_code ?? 0;
      share.cases += 1;
      if (status >= 200 && status < 300) share.successes += 1;
    }
  }
  return [...shares.values()];
}

/** Those that were not reached often enough, or not at all. */
export const tooLow = (shares: readonly Share[]): Share[] =>
  shares.filter(({ cases, successes }) => cases === 0 || successes / cases < LEAST_SHARE);

/** As a table: operation, requests, percentage of 2xx. */
export function tableOf(shares: readonly Share[]): string {
  const width = Math.max(...shares.map(({ operation }) => operation.length));
  const row = (operation: string, cases: string, share: string) =>
    `${operation.padEnd(width)} ${cases.padStart(7)} ${share.padStart(6)}`;
  return [
    row('operation', 'cases', '2xx'),
    ...shares.map(({ operation, cases, successes }) =>
      row(operation, String(cases), cases === 0 ? '-' : `${Math.floor((100 * successes) / cases)} %`),
    ),
  ].join('\n');
}
