import type { Checked } from './checks/checks.ts';
import { median } from '../load/closed-loop.ts';
import type { Journal } from './journal.ts';
import type { Recovered } from './recovery.ts';

/** What a run came to. */
export interface Report {
  seed: string;
  mode: string;
  profile: string;
  date: string;
  machine: string;
  /** Seconds of load. */
  seconds: number;
  faults: Recovered[];
  /** Kinds that this machine does not allow. */
  missing: string[];
  /** Processes that ended though no fault was on them; they were started again. */
  endedByItself: Record<string, number>;
  requests: Record<string, { sent: number; failed: number }>;
  /** The failed ones, by what was asked and answered. */
  failures: Record<string, number>;
  /** Of all first tries, those that were answered as they should. */
  succeeded: number;
  orders: Record<string, number>;
  /** Orders that were held up for more than ten seconds, by the step. */
  heldUp: Record<string, number>;
  /** Milliseconds from the load's end until every promise held. */
  quietAfter: number;
  /** What else was measured, with its unit. */
  figures: Record<string, string>;
  checks: Checked[];
  /** Whether the run says anything; why not. */
  vacuous: string[];
}

export const isGood = ({ checks, vacuous }: Report): boolean =>
  vacuous.length === 0 && checks.every(({ violations }) => violations.length === 0);

export const succeededOf = ({ tries }: Pick<Journal, 'tries'>): number => {
  const all = [...tries.values()];
  const sent = all.reduce((sum, one) => sum + one.sent, 0);
  return sent === 0 ? 0 : 1 - all.reduce((sum, one) => sum + one.failed, 0) / sent;
};

/** Violations of one promise that are written out. */
const SHOWN = 12;

/** The report to be read. */
export function readable(report: Report): string {
  const { faults, requests, orders, checks } = report;
  const kinds = [...new Set(faults.map(({ kind }) => kind))].toSorted();
  const rows = kinds.map((kind) => {
    const these = faults.filter((fault) => fault.kind === kind);
    return row(kind, these.length, ...felt(these));
  });
  const faultTable = [
    row('', 'times', 'went on after', 'at worst', 'all final after', 'at worst'),
    ...rows,
    row('all', faults.length, ...felt(faults)),
  ];
  const figureTable = Object.entries(report.figures).map(([what, figure]) => row(what, figure));
  const requestTable = [
    row('', 'sent', 'failed at first'),
    ...Object.entries(requests).map(([what, { sent, failed }]) => row(what, sent, percent(failed / sent))),
  ];
  const checkTable = checks.map(({ name, verified, violations }) =>
    row(name, verified, violations.length === 0 ? 'holds' : `${violations.length} violations`),
  );
  const wrong = checks
    .filter(({ violations }) => violations.length > 0)
    .flatMap(({ promise, violations }) => [
      `\n${promise}`,
      ...violations.slice(0, SHOWN).map((violation) => `  - ${violation}`),
      ...(violations.length > SHOWN ? [`  - and ${violations.length - SHOWN} more`] : []),
    ]);
  return [
    `Seed ${report.seed}, ${report.mode}, ${report.profile}, ${Math.round(report.seconds)} s of load, ${report.machine}`,
    ...section('Faults', faults.length > 0 ? faultTable : []),
    ...section('Requests', requestTable),
    ...section('Failed at first', countTable(report.failures)),
    ...section('Orders', countTable(orders)),
    ...section('Held up for more than 10 s', countTable(report.heldUp)),
    ...section('Figures', figureTable),
    ...section('Checks', checkTable),
    '',
    `${percent(report.succeeded)} of the first tries succeeded; all was quiet ${seconds(report.quietAfter)} after the load's end.`,
    ...(report.missing.length > 0 ? [`Not possible on this machine: ${report.missing.join(', ')}.`] : []),
    ...Object.entries(report.endedByItself).map(([name, times]) => `${name} ended by itself ${times} times.`),
    ...report.vacuous.map((why) => `Says nothing: ${why}`),
    ...wrong,
    '',
    isGood(report) ? 'Every promise held.' : 'NOT GOOD.',
  ].join('\n');
}

const countTable = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([what, times]) => row(what, times));
const section = (title: string, lines: string[]) => (lines.length > 0 ? [`\n${title}`, ...lines] : []);
const row = (first: string, ...rest: (string | number)[]) =>
  `  ${first.padEnd(40)}${rest.map((one) => String(one).padStart(16)).join('')}`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** The medians and the worst of what was felt after these faults. */
function felt(faults: readonly Recovered[]): string[] {
  return [faults.map(({ wentOn }) => wentOn), faults.map(({ allFinal }) => allFinal)].flatMap((times) => {
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? ['-', '-'] : [seconds(median(known)), seconds(Math.max(...known))];
  });
}
