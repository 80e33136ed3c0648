/** A row of the table. */
export interface Figure {
  label: string;
  value: string;
  /** The ratio to a baseline, if the bounds are ratios. */
  ratio?: number;
  bounds?: Bounds;
  result?: 'target met' | 'must met' | 'MISSED';
}

/** What a figure has to reach. Without `isMaximum`, they are minima. */
export interface Bounds {
  must: number;
  target?: number;
  isMaximum?: boolean;
}

/** A figure in its own unit. */
export function createFigure(label: string, value: number, unit: string, bounds?: Bounds): Figure {
  return { label, value: format(value, unit), ...(bounds ? judge(value, bounds) : {}) };
}

/** A figure whose bounds are ratios to another value in the same unit. */
export function createRatio(
  label: string,
  value: number,
  { unit, reference, bounds }: { unit: string; reference: number; bounds: Bounds },
): Figure {
  const ratio = value / reference;
  return { label, value: format(value, unit), ratio, ...judge(ratio, bounds) };
}

function judge(value: number, bounds: Bounds): Pick<Figure, 'bounds' | 'result'> {
  const { must, target, isMaximum } = bounds;
  const reaches = (bound: number) => (isMaximum ? value <= bound : value >= bound);
  if (target !== undefined && reaches(target)) return { bounds, result: 'target met' };
  return { bounds, result: reaches(must) ? 'must met' : 'MISSED' };
}

/** The figures as a Markdown table. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ label, value, ratio, bounds, result }) => {
    const bound = (limit: number | undefined) =>
      limit === undefined
        ? ''
        : `${bounds?.isMaximum ? '<=' : '>='} ${ratio === undefined ? limit : formatRatio(limit)}`;
    return [
      label,
      value,
      ratio === undefined ? '' : formatRatio(ratio),
      bound(bounds?.must),
      bound(bounds?.target),
      result ?? '',
    ];
  });
  return markdownTable([['figure', 'measured', 'ratio', 'must', 'target', ''], ...rows]);
}

/** A Markdown table. The first row is its head. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

export const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

const formatRatio = (ratio: number) => (ratio < 1 ? percent(ratio) : `${Number(ratio.toPrecision(3))} x`);

function format(value: number, unit: string): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`.trim();
}
