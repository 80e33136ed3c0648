import { z } from 'zod';

/** The requests of an operation, and how many of them had a 2xx response. */
export interface OperationCount {
  /** `GET /api/orders/{id}` */
  operation: string;
  cases: number;
  successes: number;
}

/** The minimum share of 2xx. Below it, an operation has hardly been tested. */
export const MIN_SUCCESS_RATE = 0.1;

/** The only event of the report that is read. */
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
 * @param lines the lines of its NDJSON reports
 * @param operations the operations to count; requests with undocumented methods are ignored
 */
export function countResponses(lines: Iterable<string>, operations: readonly string[]): OperationCount[] {
  const counts = new Map(operations.map((operation) => [operation, { operation, cases: 0, successes: 0 }]));
  for (const line of lines) {
    const { success, data } = scenarioFinished.safeParse(JSON.parse(line));
    if (!success) continue;
    const { cases, interactions } = data.ScenarioFinished.recorder;
    for (const [id, { value }] of Object.entries(cases)) {
      const count = counts.get(`${value.method} ${value.path}`);
      if (!count) continue;
      const status = interactions[id]?.response?.status_code ?? 0;
      count.cases += 1;
      if (status >= 200 && status < 300) count.successes += 1;
    }
  }
  return [...counts.values()];
}

/** The operations with too few 2xx responses, or without requests. */
export const belowMinimum = (counts: readonly OperationCount[]): OperationCount[] =>
  counts.filter(({ cases, successes }) => cases === 0 || successes / cases < MIN_SUCCESS_RATE);

/** A table of operations, requests and percentages of 2xx. */
export function formatTable(counts: readonly OperationCount[]): string {
  const width = Math.max(...counts.map(({ operation }) => operation.length));
  const row = (operation: string, cases: string, count: string) =>
    `${operation.padEnd(width)} ${cases.padStart(7)} ${count.padStart(6)}`;
  return [
    row('operation', 'cases', '2xx'),
    ...counts.map(({ operation, cases, successes }) =>
      row(operation, String(cases), cases === 0 ? '-' : `${Math.floor((100 * successes) / cases)} %`),
    ),
  ].join('\n');
}
