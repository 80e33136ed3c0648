import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

/**
 * JSON Schemas for kubeconform, built from the API schemas of Kubernetes, Dapr and Gateway API. An API server drops unknown
 * fields. These schemas report them as errors.
 */

type Json = Record<string, unknown>;

/** The file name by which kubeconform finds the schema of a kind: `deployment-apps-v1.json`, `service-v1.json`, `component-dapr-v1alpha1.json`. */
export const FILE_NAME = '{{.ResourceKind}}{{.KindSuffix}}.json';

const fileOf = (kind: string, { group, version }: GroupVersion) =>
  `${[kind.toLowerCase(), ...group.split('.').slice(0, 1), version].filter(Boolean).join('-')}.json`;

/** The folders that schemas are built from. */
export interface SchemaSources {
  /** The source code of Kubernetes. */
  kubernetes: string;
  /** Folders of CustomResourceDefinitions. */
  definitions: readonly string[];
}

/** Writes a schema for each kind that Kubernetes or a definition has in these API versions. */
export function writeSchemas(folder: string, apiVersions: Iterable<string>, sources: SchemaSources): void {
  const groupVersions = [...new Set(apiVersions)].map((apiVersion): GroupVersion => {
    const [version = '', group = ''] = apiVersion.split('/').toReversed();
    return { group, version };
  });
  const files = [
    ...groupVersions.flatMap((one) => builtInSchemas(sources, one)),
    ...sources.definitions.flatMap((definitions) => customSchemas(sources, definitions, groupVersions)),
  ];
  for (const { name, schema } of files) writeFileSync(join(folder, name), JSON.stringify(schema));
}

interface GroupVersion {
  group: string;
  version: string;
}

interface SchemaFile {
  name: string;
  schema: Json;
}

const KINDS = 'x-kubernetes-group-version-kind';
const openApi = z.object({
  components: z.object({
    schemas: z.record(
      z.string(),
      z.looseObject({
        [KINDS]: z.array(z.object({ group: z.string(), version: z.string(), kind: z.string() })).default([]),
      }),
    ),
  }),
});

const refTo = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });
const METADATA = refTo('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

function builtInSchemas(sources: SchemaSources, wanted: GroupVersion): SchemaFile[] {
  const components = componentsOf(sources, wanted);
  return Object.entries(components?.schemas ?? {}).flatMap(([schema, { [KINDS]: kinds }]) =>
    kinds
      .filter(({ group, version }) => group === wanted.group && version === wanted.version)
      .map(({ kind }) => ({ name: fileOf(kind, wanted), schema: { ...refTo(schema), components } })),
  );
}

/** The schemas of an API version, which refer to each other. Undefined if Kubernetes has no such version. */
function componentsOf({ kubernetes }: SchemaSources, { group, version }: GroupVersion) {
  const name = group ? `apis__${group}__${version}` : `api__${version}`;
  const file = join(kubernetes, 'api/openapi-spec/v3', `${name}_openapi.json`);
  if (!existsSync(file)) return undefined;
  return withoutOtherFields(openApi.parse(JSON.parse(readFileSync(file, 'utf8'))).components);
}

const definition = z.object({
  spec: z.object({
    group: z.string(),
    names: z.object({ kind: z.string() }),
    versions: z.array(
      z.object({
        name: z.string(),
        schema: z.object({ openAPIV3Schema: z.looseObject({ properties: z.looseObject({}) }) }),
      }),
    ),
  }),
});

function customSchemas(
  sources: SchemaSources,
  folder: string,
  wanted: readonly GroupVersion[],
): SchemaFile[] {
  const components = componentsOf(sources, { group: '', version: 'v1' });
  return readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .filter((text) => wanted.some(({ group }) => group && text.includes(`\n  group: ${group}\n`)))
    .flatMap((text) => parseAllDocuments(text))
    .flatMap((document) => {
      const { group, names, versions } = definition.parse(document.toJS()).spec;
      return versions.map(({ name, schema: { openAPIV3Schema: schema } }) => ({
        name: fileOf(names.kind, { group, version: name }),
        // A definition has no schema for metadata: the API server adds it.
        schema: {
          ...withoutOtherFields({ ...schema, properties: { ...schema.properties, metadata: METADATA } }),
          components,
        },
      }));
    });
}

/** Forbids all fields that the schema does not name, unless it allows others explicitly. */
function withoutOtherFields<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(withoutOtherFields) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const inside: Json = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, withoutOtherFields(value)]),
  );
  if (inside['x-kubernetes-int-or-string'] === true) inside['type'] = ['integer', 'string'];
  const isOpen = 'additionalProperties' in inside || inside['x-kubernetes-preserve-unknown-fields'] === true;
  if (inside['type'] === 'object' && 'properties' in inside && !isOpen)
    inside['additionalProperties'] = false;
  return inside as T;
}
