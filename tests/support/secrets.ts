import type { Manifest } from './manifests.ts';

/** Secrets in manifests: references, as `name:key`, and values that should be references. */

type Json = Record<string, unknown>;

/** All objects in a value, including the value itself. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inside : [value as Json, ...inside];
}

/** References in variables, components, projected volumes and Dapr's annotations. An unknown kind of reference is `?`. */
export function secretsReferencedIn(manifests: readonly Manifest[]): Set<string> {
  return new Set(
    manifests.flatMap((one) =>
      objectsIn(one).flatMap((object) => [
        ...keysReferencedBy(object['secretKeyRef']),
        ...keysReferencedBy(object['secret']),
        ...('secretRef' in object || 'secretName' in object ? [`? ${JSON.stringify(object)}`] : []),
        ...keysInAnnotations(object),
      ]),
    ),
  );
}

function keysReferencedBy(reference: unknown): string[] {
  if (typeof reference !== 'object' || reference === null) return [];
  const { name, key, items } = reference as { name?: string; key?: string; items?: { key: string }[] };
  const keys = key === undefined ? items?.map((item) => item.key) : [key];
  return keys?.map((one) => `${name ?? '?'}:${one}`) ?? [`? ${JSON.stringify(reference)}`];
}

/** https://docs.dapr.io/reference/arguments-annotations-overview/: tokens are under the key `token`. */
function keysInAnnotations(object: Json): string[] {
  const text = (name: string) => {
    const value = object[`dapr.io/${name}`];
    return typeof value === 'string' ? value : '';
  };
  return [
    ...['api-token-secret', 'app-token-secret']
      .map(text)
      .filter(Boolean)
      .map((name) => `${name}:token`),
    // `VARIABLE=name:key,…`
    ...text('env-from-secret')
      .split(',')
      .filter(Boolean)
      .map((one) => one.replace(/^[^=]*=/, '')),
  ];
}

const SECRET_NAME = /passw|token|secret|credential|connection_?string|api_?key|private_?key|access_?key/i;
/** `user:password@host`, as in URLs. */
const CREDENTIALS = /:\/\/[^/\s]*:[^/\s]+@/;

/** Variables and component metadata with a literal value that should be a secret, and all Secrets. */
export function plainTextSecrets(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((one) => {
    const where = `${one.kind} ${one.metadata.name}`;
    if (one.kind === 'Secret') return [`${where} is a secret`];
    return objectsIn(one)
      .filter(
        ({ name, value }) =>
          typeof name === 'string' &&
          (typeof value === 'string' || typeof value === 'number') &&
          (SECRET_NAME.test(name) || CREDENTIALS.test(String(value))),
      )
      .map(({ name }) => `${where} has the value of ${String(name)}`);
  });
}
