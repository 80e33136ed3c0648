/** One line of the benchmark's table. */
export interface Figure {
  what: string;
  value: string;
  /** What the value is measured against, where it is. */
  ratio?: number;
  target?: string;
  met?: boolean;
}

/** A figure without a target, for scale. */
export function plain(what: string, value: number, unit: string): Figure {
  return { what, value: format(value, unit) };
}

/** A figure as a share of another one that should be at least `target`. */
export function atLeast(
  what: string,
  value: number,
  unit: string,
  of: number,
  target: number,
  name: string,
): Figure {
  const ratio = value / of;
  return {
    what,
    value: format(value, unit),
    ratio,
    target: `>= ${percent(target)} of ${name}`,
    met: ratio >= target,
  };
}

/** A figure as a multiple of another one that should be at most `target`. */
export function atMost(
  what: string,
  value: number,
  unit: string,
  of: number,
  target: number,
  name: string,
): Figure {
  const ratio = value / of;
  return { what, value: format(value, unit), ratio, target: `<= ${target} x ${name}`, met: ratio <= target };
}

/** A figure that should not have changed by more than a tenth. */
export function unchanged(what: string, value: number, unit: string, before: number): Figure {
  const ratio = value / before;
  const met = Math.abs(ratio - 1) <= 0.1;
  return { what, value: format(value, unit), ratio, target: '+-10 % of before', met };
}

/** A figure with a limit of its own. */
export function below(what: string, value: number, unit: string, target: number): Figure {
  return { what, value: format(value, unit), target: `<= ${target} ${unit}`.trim(), met: value <= target };
}

/** The figures as a table in Markdown, which is readable in a terminal too. */
export function table(figures: readonly Figure[]): string {
  const rows = [
    ['what', 'measured', 'ratio', 'target', ''],
    ...figures.map(({ what, value, ratio, target, met }) => [
      what,
      value,
      ratio === undefined ? '' : ratio < 3 ? percent(ratio) : `${ratio.toFixed(1)} x`,
      target ?? '',
      met === undefined ? '' : met ? 'met' : 'MISSED',
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

function format(value: number, unit: string): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`.trim();
}
