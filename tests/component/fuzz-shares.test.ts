import { describe, expect, it } from 'vitest';
import { countResponses, formatTable, belowMinimum } from '../fuzz/shares.ts';

const READ = 'GET /api/orders/{id}';

/** A line of the report: requests to an operation by response status. 0 stands for no response. */
function scenario(operation: string, ...statuses: number[]): string {
  const [method, path] = operation.split(' ');
  const ids = statuses.map((status, position) => [`case-${position}`, status] as const);
  return JSON.stringify({
    ScenarioFinished: {
      phase: 'Fuzzing',
      recorder: {
        label: operation,
        cases: Object.fromEntries(ids.map(([id]) => [id, { value: { method, path, query: {} } }])),
        interactions: Object.fromEntries(
          ids.map(([id, status]) => [
            id,
            { request: { method }, ...(status === 0 ? {} : { response: { status_code: status } }) },
          ]),
        ),
      },
    },
  });
}

describe('the shares of a fuzz run', () => {
  it.each<[string, string[], { cases: number; successes: number }]>([
    ['all are answered with 2xx', [scenario(READ, 200, 204)], { cases: 2, successes: 2 }],
    ['some are rejected', [scenario(READ, 200, 304, 404, 500)], { cases: 4, successes: 1 }],
    ['one gets no answer', [scenario(READ, 200, 0)], { cases: 2, successes: 1 }],
    ['there are several scenarios', [scenario(READ, 404), scenario(READ, 200)], { cases: 2, successes: 1 }],
    ['a scenario sent nothing', [scenario(READ)], { cases: 0, successes: 0 }],
    ['the method is not documented', [scenario('TRACE /api/orders/{id}', 405)], { cases: 0, successes: 0 }],
    ['it is another operation', [scenario('GET /api/orders', 200)], { cases: 0, successes: 0 }],
    [
      'there are other events',
      [JSON.stringify({ Initialize: { seed: 1 } }), scenario(READ, 200)],
      { cases: 1, successes: 1 },
    ],
  ])('When %s, then the counts are right', (_what, lines, counted) => {
    expect(countResponses(lines, [READ])).toEqual([{ operation: READ, ...counted }]);
  });

  it('When fewer than a tenth of the responses are 2xx, or nothing was sent, then the share is too low', () => {
    const counts = [
      { operation: 'GET /a', cases: 10, successes: 1 },
      { operation: 'GET /b', cases: 11, successes: 1 },
      { operation: 'GET /c', cases: 0, successes: 0 },
    ];
    expect(belowMinimum(counts).map(({ operation }) => operation)).toEqual(['GET /b', 'GET /c']);
  });

  it('When the shares are printed, then each operation has a line', () => {
    const counts = [
      { operation: 'GET /a', cases: 11, successes: 1 },
      { operation: 'GET /long', cases: 0, successes: 0 },
    ];
    expect(formatTable(counts).split('\n')).toEqual([
      'operation   cases    2xx',
      'GET /a         11    9 %',
      'GET /long       0      -',
    ]);
  });
});
