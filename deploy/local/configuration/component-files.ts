import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from 'yaml';
import { z } from 'zod';
import { root } from '../machine/paths.ts';

/** Files by their paths below components/. */
export type Files = ReadonlyMap<string, string>;

/** Lists the files for Kubernetes. Sidecars ignore it. */
const KUSTOMIZATION = 'kustomization.yaml';

/** The committed component files. */
export function readComponents(): Files {
  const components = join(root, 'components');
  const names = readdirSync(components, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith('.yaml') && name !== KUSTOMIZATION)
      .map((name) => [name, readFileSync(join(components, name), 'utf8')]),
  );
}

const metadataItemSchema = z.looseObject({ name: z.string(), value: z.string().optional() });

/** https://docs.dapr.io/reference/resource-specs/component-schema/ */
export const componentSchema = z.looseObject({
  scopes: z.array(z.string()).default([]),
  spec: z.looseObject({ metadata: z.array(metadataItemSchema) }),
});
export type Component = z.infer<typeof componentSchema>;

/** https://docs.dapr.io/reference/resource-specs/subscription-schema/ */
export const subscriptionSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string() }),
  scopes: z.array(z.string()),
  spec: z.looseObject({ pubsubname: z.string(), topic: z.string(), deadLetterTopic: z.string().optional() }),
});

/** The text of changed documents, with their comments and order. */
export function stringifyDocuments(documents: readonly Document[]): string {
  return documents.map((document) => document.toString({ lineWidth: 0 })).join('---\n');
}

/** A value of a component's metadata; '' if it is missing. */
export function metadataValue({ spec }: Component, name: string): string {
  return spec.metadata.find((one) => one.name === name)?.value ?? '';
}

/** The topics in a component's `publishingScopes` or `subscriptionScopes`, of all apps together. */
export function topicsIn(scopes: string): Set<string> {
  const topics = scopes.split(';').flatMap((scope) => (scope.split('=')[1] ?? '').split(','));
  return new Set(topics.map((topic) => topic.trim()).filter((topic) => topic && topic !== 'none'));
}
