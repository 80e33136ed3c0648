import { ACCESS, DEAD_LETTERS, type Access, type Topic } from '../../services/access.ts';
import { stateDiagram } from '../../services/orders/domain/state-diagram.ts';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { replace, type Edit } from './edit.ts';
import { importGraph } from './import-graph.ts';

/** The parts of the READMEs that follow from the code. */
export function documentEdits(root: string, services: readonly ServiceDescription[]): Edit[] {
  const names = services.map(({ name }) => name);
  return [
    [
      'services/orders/README.md',
      (text) => replace(text, /```mermaid\n[\s\S]*?```/, `\`\`\`mermaid\n${stateDiagram()}\`\`\``),
    ],
    [
      'services/README.md',
      (text) => {
        const granted = replace(text, /\| service +\| invokes[\s\S]*?\n\n/, `${accessTable(services)}\n\n`);
        return replace(granted, GRAPHS, importGraph(root, names));
      },
    ],
  ];
}

/** The first text and both flowcharts of `importGraph`. */
const GRAPHS =
  /The contracts that services import:\n\n```mermaid\n[^`]*```\n\nThe folders of `shared`:\n\n```mermaid\n[^`]*```/;

function accessTable(services: readonly ServiceDescription[]): string {
  const rows = services.map(({ name }) => {
    const { calls, publishes, subscribes } = ACCESS.find(({ app }) => app === name) as Access;
    const invoked = [...new Set(calls.map(({ service }) => service))];
    return `| [${name}](${name}) | ${invoked.join(', ')} | ${short(publishes)} | ${short(subscribes)} |`;
  });
  return ['| service | invokes | publishes | receives |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** The event types in short: `order.paid` `.shipped`, or `order.*` for all of them. */
function short(topics: readonly Topic[]): string {
  const names = topics.map(({ name }) => name).filter((name) => name !== DEAD_LETTERS.name);
  const all = [...new Set(ACCESS.flatMap(({ publishes }) => publishes).map(({ name }) => name))];
  const subjects = [...new Set(names.map((name) => name.split('.')[0]))];
  return subjects
    .map((subject) => {
      const ofSubject = (list: readonly string[]) => list.filter((name) => name.startsWith(`${subject}.`));
      const [first, ...others] = ofSubject(names);
      if (others.length > 0 && ofSubject(all).length === others.length + 1) return `\`${subject}.*\``;
      return [first, ...others.map((name) => name.slice(name.indexOf('.')))]
        .map((name) => `\`${name}\``)
        .join(' ');
    })
    .join(', ');
}
