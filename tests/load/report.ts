/** A row of the table. */
export interface Figure {
  label: string;
  value: string;
  /** The ratio to the reference, if there is one. */
  ratio?: number;
  target?: string;
  met?: boolean;
}

/** A figure without a target. */
export function createFigure(label: string, value: number, unit: string): Figure {
  return { label, value: format(value, unit) };
}

/** A figure whose ratio to a reference should be at least `target`. */
export function createMinimumRatio(
  label: string,
  value: number,
  unit: string,
  reference: number,
  target: number,
  name: string,
): Figure {
  const ratio = value / reference;
  return {
    label,
    value: format(value, unit),
    ratio,
    target: `>= ${percent(target)} of ${name}`,
    met: ratio >= target,
  };
}

/** A figure whose ratio to a reference should be at most `target`. */
export function createMaximumRatio(
  label: string,
  value: number,
  unit: string,
  reference: number,
  target: number,
  name: string,
): Figure {
  const ratio = value / reference;
  return { label, value: format(value, unit), ratio, target: `<= ${target} x ${name}`, met: ratio <= target };
}

/** A figure that should differ by at most a tenth from the one before. */
export function createUnchanged(label: string, value: number, unit: string, before: number): Figure {
  const ratio = value / before;
  const met = Math.abs(ratio - 1) <= 0.1;
  return { label, value: format(value, unit), ratio, target: '+-10 % of before', met };
}

/** A figure with an absolute maximum. */
export function createMaximum(label: string, value: number, unit: string, target: number): Figure {
  return { label, value: format(value, unit), target: `<= ${target} ${unit}`.trim(), met: value <= target };
}

/** The figures as a Markdown table. */
export function table(figures: readonly Figure[]): string {
  const rows = [
    ['figure', 'measured', 'ratio', 'target', ''],
    ...figures.map(({ label, value, ratio, target, met }) => [
      label,
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
