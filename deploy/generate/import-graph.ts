import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/**
 * The imports between the folders of services/ as two Mermaid flowcharts: contracts that services import, and the folders of
 * shared. An arrow points from a folder to one that it imports.
 */
export function importGraph(root: string, services: readonly string[]): string {
  const files = readdirSync(join(root, 'services'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const edges = files.flatMap((file) => importsOf(root, file).map((target) => ({ file, target })));
  const first = (path: string) => path.split('/')[0] ?? '';
  const contracts = edges
    .filter(({ file, target }) => services.includes(first(file)) && target.endsWith('/contract.ts'))
    .map(({ file, target }) => arrow(first(file), first(target)));
  const second = (path: string) => path.split('/')[1] ?? '';
  const shared = edges
    .filter(({ file, target }) => first(file) === 'shared' && first(target) === 'shared')
    .map(({ file, target }) => arrow(second(file), second(target)));
  return `The contracts that services import:\n\n${flowchart(contracts)}\n\nThe folders of \`shared\`:\n\n${flowchart(shared)}`;
}

/** The imported files below services/, types included. */
function importsOf(root: string, file: string): string[] {
  const text = readFileSync(join(root, 'services', file), 'utf8');
  return [...text.matchAll(/from '(\.[^']+)'/g)].map(([, target = '']) =>
    normalize(join(dirname(file), target)),
  );
}

const arrow = (from: string, to: string) => (from === to ? '' : `  ${from} --> ${to}`);

const flowchart = (arrows: readonly string[]) =>
  ['```mermaid', 'flowchart LR', ...[...new Set(arrows)].filter(Boolean).toSorted(), '```'].join('\n');
