import type { Manifest } from './manifests.ts';

/** Secrets in manifests: those that are named, as `name:key`, and values that should be in one. */

type Json = Record<string, unknown>;

/** All objects in a value, itself among them. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inside : [value as Json, ...inside];
}

/** Of variables, components, projected volumes and Dapr's annotations. Any other way to name a secret is told as `?`. */
export function secretsNamedIn(manifests: readonly Manifest[]): Set<string> {
  return new Set(
    manifests.flatMap((one) =>
      objectsIn(one).flatMap((object) => [
        ...named(object['secretKeyRef']),
        ...named(object['secret']),
        ...('secretRef' in object || 'secretName' in object ? [`? ${JSON.stringify(object)}`] : []),
        ...annotated(object),
      ]),
    ),
  );
}

function named(reference: unknown): string[] {
  if (typeof reference !== 'object' || reference === null) return [];
  const { name, key, items } = reference as { name?: string; key?: string; items?: { key: string }[] };
  const keys = key === undefined ? items?.map((item) => item.key) : [key];
  return keys?.map((one) => `${name ?? '?'}:${one}`) ?? [`? ${JSON.stringify(reference)}`];
}

/** https://docs.dapr.io/reference/arguments-annotations-overview/: tokens are under the key `token`. */
function annotated(object: Json): string[] {
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

/** Variables and metadata of components whose value is there and should be in a secret, and whole Secrets. */
export function clearText(manifests: readonly Manifest[]): string[] {
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
