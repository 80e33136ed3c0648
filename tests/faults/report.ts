import type { CheckResult } from './checks/checks.ts';
import { median } from '../load/closed-loop.ts';
import type { Journal } from './journal.ts';
import type { RecoveredFault } from './recovery.ts';

/** The report of a run. */
export interface Report {
  seed: string;
  mode: string;
  profile: string;
  /** The services in other languages, such as `payments in python`. */
  twins: string[];
  date: string;
  machine: string;
  /** The duration of the load. */
  seconds: number;
  faults: RecoveredFault[];
  /** Fault types that this machine or a twin does not support. */
  unavailableFaultTypes: string[];
  /** Processes that exited without a fault, with the number of exits. */
  unexpectedExits: Record<string, number>;
  requests: Record<string, { sent: number; failed: number }>;
  /** Failed first tries, by action and status. */
  failures: Record<string, number>;
  /** The share of first tries that succeeded. */
  firstTrySuccessRate: number;
  orders: Record<string, number>;
  /** Orders that were delayed for more than ten seconds, by step. */
  delayedSteps: Record<string, number>;
  /** The time from the end of the load until every promise held. */
  settledAfterMs: number;
  /** Other measured values, with their units. */
  figures: Record<string, string>;
  checks: CheckResult[];
  /** Why the run proves nothing. Empty if it does. */
  inconclusiveReasons: string[];
}

export const isGood = ({ checks, inconclusiveReasons }: Report): boolean =>
  inconclusiveReasons.length === 0 && checks.every(({ violations }) => violations.length === 0);

export const firstTrySuccessRateOf = ({ firstTries }: Pick<Journal, 'firstTries'>): number => {
  const all = [...firstTries.values()];
  const sent = all.reduce((sum, action) => sum + action.sent, 0);
  return sent === 0 ? 0 : 1 - all.reduce((sum, action) => sum + action.failed, 0) / sent;
};

/** The maximum of printed violations per check. */
const MAX_PRINTED_VIOLATIONS = 12;

/** The report as text. */
export function formatReport(report: Report): string {
  const { faults, requests, orders, checks } = report;
  const types = [...new Set(faults.map(({ type }) => type))].toSorted();
  const rows = types.map((type) => {
    const ofType = faults.filter((fault) => fault.type === type);
    return row(type, ofType.length, ...recoveryCells(ofType));
  });
  const faultTable = [
    row('', 'times', 'continued after', 'worst', 'final after', 'worst'),
    ...rows,
    row('all', faults.length, ...recoveryCells(faults)),
  ];
  const figureTable = Object.entries(report.figures).map(([label, figure]) => row(label, figure));
  const requestTable = [
    row('', 'sent', 'first try failed'),
    ...Object.entries(requests).map(([label, { sent, failed }]) => row(label, sent, percent(failed / sent))),
  ];
  const checkTable = checks.map(({ name, verified, violations }) =>
    row(name, verified, violations.length === 0 ? 'holds' : `${violations.length} violations`),
  );
  const failedChecks = checks
    .filter(({ violations }) => violations.length > 0)
    .flatMap(({ promise, violations }) => [
      `\n${promise}`,
      ...violations.slice(0, MAX_PRINTED_VIOLATIONS).map((violation) => `  - ${violation}`),
      ...(violations.length > MAX_PRINTED_VIOLATIONS
        ? [`  - and ${violations.length - MAX_PRINTED_VIOLATIONS} more`]
        : []),
    ]);
  return [
    `Seed ${[report.seed, report.mode, report.profile, ...report.twins].join(', ')}, ${Math.round(report.seconds)} s of load, ${report.machine}`,
    ...section('Faults', faults.length > 0 ? faultTable : []),
    ...section('Requests', requestTable),
    ...section('Failed first tries', countTable(report.failures)),
    ...section('Orders', countTable(orders)),
    ...section('Delayed for more than 10 s', countTable(report.delayedSteps)),
    ...section('Figures', figureTable),
    ...section('Checks', checkTable),
    '',
    `${percent(report.firstTrySuccessRate)} of the first tries succeeded. All promises were checked ${seconds(report.settledAfterMs)} after the load.`,
    ...(report.unavailableFaultTypes.length > 0
      ? [`Not supported here: ${report.unavailableFaultTypes.join(', ')}.`]
      : []),
    ...Object.entries(report.unexpectedExits).map(
      ([name, times]) => `${name} exited unexpectedly ${times} times.`,
    ),
    ...report.inconclusiveReasons.map((reason) => `Inconclusive: ${reason}`),
    ...failedChecks,
    '',
    isGood(report) ? 'Every promise held.' : 'FAILED.',
  ].join('\n');
}

const countTable = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([label, times]) => row(label, times));
const section = (title: string, lines: string[]) => (lines.length > 0 ? [`\n${title}`, ...lines] : []);
const row = (first: string, ...rest: (string | number)[]) =>
  `  ${first.padEnd(40)}${rest.map((cell) => String(cell).padStart(16)).join('')}`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** The median and the worst recovery times of these faults. */
function recoveryCells(faults: readonly RecoveredFault[]): string[] {
  return [
    faults.map(({ continuedAfterMs }) => continuedAfterMs),
    faults.map(({ finalAfterMs }) => finalAfterMs),
  ].flatMap((times) => {
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? ['-', '-'] : [seconds(median(known)), seconds(Math.max(...known))];
  });
}
