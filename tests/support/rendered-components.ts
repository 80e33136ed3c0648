import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Files } from '../../deploy/local/configuration/component-files.ts';
import { manifest, type Manifest } from './manifests.ts';

/** Compares the files of components/ with the manifests that an overlay renders from them. */

const COMPARED_KINDS = new Set(['Component', 'Subscription', 'Resiliency']);
const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;

/** secrets.yaml is for a local run. Kubernetes has its own secrets. */
const EXCLUDED_FILES = new Set(['secrets.yaml']);

/** The differing fields, such as `Component pubsub redisHost`, and the missing and added resources. */
export function componentDifferences(files: Files, manifests: readonly Manifest[]): string[] {
  const committed = new Map(
    [...files]
      .filter(([file]) => !EXCLUDED_FILES.has(file))
      .flatMap(([, text]) => parseAllDocuments(text).map((document) => manifest.parse(document.toJS())))
      .filter(({ kind }) => COMPARED_KINDS.has(kind))
      .map((one) => [nameOf(one), one]),
  );
  const rendered = new Map(
    manifests.filter(({ kind }) => COMPARED_KINDS.has(kind)).map((one) => [nameOf(one), one]),
  );
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

/** The fields of a resource, and the metadata items of a component. The namespace is left out: Kustomize adds it. */
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

/** A text that does not depend on the order of fields, because Kustomize sorts them. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? ''
  );
}
