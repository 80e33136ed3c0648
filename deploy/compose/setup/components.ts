/** Files by their paths below components/. */
export type Files = ReadonlyMap<string, string>;

/** What components/ have for one machine, and what stands for it on the network of Compose. */
const ADDRESSES: readonly (readonly [from: string, to: string])[] = [
  ['value: localhost:6379\n', 'value: redis:6379\n'],
  ['- name: host\n      value: localhost\n', '- name: host\n      value: mail\n'],
];

/**
 * The component files as they are with Compose: other addresses and another store. Everything else stays, also scopes, subscriptions
 * and resiliency.
 *
 * @param stores for state.yaml and workflows.yaml, a file whose `spec` takes the place of the one there
 * @throws Error where an address is nowhere: the files have changed, and this has to follow
 */
export function applyOverlay(committed: Files, stores: Files): Files {
  const unused = ADDRESSES.filter(([from]) => ![...committed.values()].some((text) => text.includes(from)));
  if (unused.length > 0)
    throw new Error(`components/ have nowhere: ${unused.map(([from]) => from).join(', ')}`);
  const moved = [...committed].map(([name, text]): [string, string] => [
    name,
    ADDRESSES.reduce((changed, [from, to]) => changed.replaceAll(from, to), text),
  ]);
  const stored = [...stores].map(([name, text]): [string, string] => {
    const [head] = splitAtSpec(committed.get(name) ?? '');
    const [, spec] = splitAtSpec(text);
    return [name, `${head}${spec}`];
  });
  return new Map([...moved, ...stored]);
}

function splitAtSpec(text: string): [head: string, spec: string] {
  const [head, spec, ...more] = text.split(/^(?=spec:\n)/m);
  if (head === undefined || spec === undefined || more.length > 0)
    throw new Error('state.yaml and workflows.yaml must have one spec');
  return [head, spec];
}

/** The apps that have a state store. */
export function appsWithState(files: Files): string[] {
  const [, scopes] = /^scopes: \[(.+)\]$/m.exec(files.get('state.yaml') ?? '') ?? [];
  if (scopes === undefined) throw new Error('components/state.yaml must have its scopes in one line');
  return scopes.split(',').map((app) => app.trim());
}
