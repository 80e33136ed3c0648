import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Files } from '../../deploy/local/configuration/component-files.ts';
import { manifest, type Manifest } from './manifests.ts';

/** The files of components/ compared with what an overlay makes of them. */

const TAKEN = new Set(['Component', 'Subscription', 'Resiliency']);
const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;

/** secrets.yaml is for one machine: Kubernetes has secrets of its own. */
const notTaken = new Set(['secrets.yaml']);

/** Where rendered components differ from the files, as `Component pubsub redisHost`; what is missing, and what is added. */
export function changesOf(files: Files, manifests: readonly Manifest[]): string[] {
  const committed = new Map(
    [...files]
      .filter(([file]) => !notTaken.has(file))
      .flatMap(([, text]) => parseAllDocuments(text).map((document) => manifest.parse(document.toJS())))
      .filter(({ kind }) => TAKEN.has(kind))
      .map((one) => [nameOf(one), one]),
  );
  const rendered = new Map(manifests.filter(({ kind }) => TAKEN.has(kind)).map((one) => [nameOf(one), one]));
  return [...new Set([...committed.keys(), ...rendered.keys()])].flatMap((name) => {
    const [before, after] = [committed.get(name), rendered.get(name)];
    if (!before || !after) return [`${name} is ${before ? 'missing' : 'added'}`];
    const [old, now] = [fieldsOf(before), fieldsOf(after)];
    return [...new Set([...old.keys(), ...now.keys()])]
      .filter((field) => old.get(field) !== now.get(field))
      .map((field) => `${name} ${field}`);
  });
}

const withItems = z.object({
  spec: z.looseObject({ metadata: z.array(z.looseObject({ name: z.string() })) }),
});

/** The fields of a resource, and the items of a component's metadata by their names. Kustomize adds the namespace. */
function fieldsOf(one: Manifest): Map<string, string> {
  const { namespace: _, ...metadata } = one.metadata;
  const items = one.kind === 'Component' ? withItems.parse(one).spec.metadata : [];
  const spec = z.record(z.string(), z.unknown()).parse(one['spec']);
  const fields = [
    ...Object.entries({ ...one, spec: undefined, metadata }),
    ...Object.entries(spec).filter(([field]) => one.kind !== 'Component' || field !== 'metadata'),
    ...items.map(({ name, ...value }) => [name, value] as const),
  ];
  return new Map(fields.map(([field, value]) => [field, canonical(value)]));
}

/** Kustomize sorts fields. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? ''
  );
}
