import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { findOrBuildManifestTools, type ManifestTools } from './manifest-tools.ts';
import { root } from '../../deploy/local/machine/paths.ts';
import { FILE_NAME } from './manifest-schemas.ts';

/** The rendered manifests of deploy/kubernetes, and the findings of tools about them. */

export const OVERLAYS = readdirSync(join(root, 'deploy/kubernetes/overlays')).map(
  (name) => `overlays/${name}`,
);
/** The folders of deploy/kubernetes that Kustomize can render. */
export const SHOP_FOLDERS = ['base', ...OVERLAYS];
/** All folders that it can render, from deploy/kubernetes. */
export const FOLDERS = [...SHOP_FOLDERS, '../observability'];

export const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.infer<typeof manifest>;

export const parseManifests = (text: string): Manifest[] =>
  parseAllDocuments(text).map((document) => manifest.parse(document.toJS()));

/** Renders one of `FOLDERS`. @throws Error with the message of Kustomize */
export function render({ kustomize: [program, ...args] }: ManifestTools, folder: string): string {
  const { status, stdout, stderr } = runTool(program, [...args, join('deploy/kubernetes', folder)]);
  if (status !== 0) throw new Error(`${folder}: ${stderr}`);
  return stdout;
}

export interface Rendered {
  folder: string;
  text: string;
  manifests: Manifest[];
}

/** Renders these folders. */
export async function renderAll(folders: readonly string[] = FOLDERS): Promise<Rendered[]> {
  const tools = await findOrBuildManifestTools(() => {});
  return folders.map((folder) => {
    const text = render(tools, folder);
    return { folder, text, manifests: parseManifests(text) };
  });
}

const report = z.object({
  resources: z.array(
    z.object({ kind: z.string(), name: z.string(), status: z.string(), msg: z.string().optional() }),
  ),
});

/** The errors that kubeconform finds by the schemas in a folder. A manifest without a schema is an error, too. */
export function schemaErrors({ kubeconform }: ManifestTools, schemas: string, text: string): string[] {
  const { stdout, stderr } = runTool(
    kubeconform,
    ['-strict', '-verbose', '-output', 'json', '-schema-location', join(schemas, FILE_NAME)],
    text,
  );
  if (!stdout) throw new Error(`kubeconform: ${stderr}`);
  const { resources } = report.parse(JSON.parse(stdout));
  const checked = parseManifests(text).length;
  if (resources.length !== checked)
    throw new Error(`kubeconform checked ${resources.length} of ${checked} manifests`);
  return resources
    .filter(({ status }) => status !== 'statusValid')
    .map(({ kind, name, status, msg }) => `${kind} ${name}: ${msg ?? status}`);
}

const scores = z.array(
  z.object({
    object_name: z.string(),
    checks: z.array(
      z.object({
        check: z.object({ id: z.string() }),
        grade: z.number(),
        skipped: z.boolean(),
        comments: z
          .array(z.object({ path: z.string(), summary: z.string() }))
          .nullable()
          .transform((comments) => comments ?? []),
      }),
    ),
  }),
);

/** The best grade of kube-score. A lower one is a warning or worse. */
const PASSING_GRADE = 10;

export interface Finding {
  /** Such as `Deployment/orders`. */
  object: string;
  check: string;
  reason: string;
}

const OPTIONAL = ['container-seccomp-profile', 'container-ports-check'].flatMap((check) => [
  '--enable-optional-test',
  check,
]);

/** The findings of kube-score. */
export function kubeScoreFindings({ kubeScore }: ManifestTools, text: string): Finding[] {
  const args = ['score', '--kubernetes-version', 'v1.36', '--output-format', 'json', ...OPTIONAL, '-'];
  const { stdout, stderr } = runTool(kubeScore, args, text);
  if (!stdout) throw new Error(`kube-score: ${stderr}`);
  return scores.parse(JSON.parse(stdout)).flatMap(({ object_name: path, checks }) => {
    const [kind = '', ...rest] = path.split('/');
    const object = `${kind}/${rest.at(-1) ?? ''}`;
    return checks
      .filter(({ grade, skipped }) => !skipped && grade < PASSING_GRADE)
      .map(({ check: { id }, comments }) => ({
        object,
        check: id,
        reason: comments.map(({ path: where, summary }) => `(${where}) ${summary}`).join(', '),
      }));
  });
}

function runTool(program: string, args: string[], input = '') {
  const result = spawnSync(program, args, {
    cwd: root,
    input,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error) throw result.error;
  return result;
}
