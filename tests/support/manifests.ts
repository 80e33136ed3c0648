import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { findOrBuildManifestTools, type ManifestTools } from './manifest-tools.ts';
import { root } from '../../deploy/local/machine/paths.ts';
import { FILE_NAME } from './manifest-schemas.ts';

/** The manifests of deploy/kubernetes as they are applied, and what programs say about them. */

export const OVERLAYS = readdirSync(join(root, 'deploy/kubernetes/overlays')).map(
  (name) => `overlays/${name}`,
);
/** All that can be rendered, below deploy/kubernetes. */
export const FOLDERS = ['base', ...OVERLAYS];

export const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.infer<typeof manifest>;

export const parseManifests = (text: string): Manifest[] =>
  parseAllDocuments(text).map((document) => manifest.parse(document.toJS()));

/** The manifests of a folder below deploy/kubernetes. @throws Error with what is wrong with it */
export function render({ kustomize: [program, ...args] }: ManifestTools, folder: string): string {
  const { status, stdout, stderr } = printed(program, [...args, join('deploy/kubernetes', folder)]);
  if (status !== 0) throw new Error(`${folder}: ${stderr}`);
  return stdout;
}

export interface Rendered {
  folder: string;
  text: string;
  manifests: Manifest[];
}

/** All folders as they are applied. */
export async function renderAll(): Promise<Rendered[]> {
  const tools = await findOrBuildManifestTools(() => {});
  return FOLDERS.map((folder) => {
    const text = render(tools, folder);
    return { folder, text, manifests: parseManifests(text) };
  });
}

const report = z.object({
  resources: z.array(
    z.object({ kind: z.string(), name: z.string(), status: z.string(), msg: z.string().optional() }),
  ),
});

/** What kubeconform has against manifests, by schemas of this folder. What it has no schema for counts, too. */
export function misfits({ kubeconform }: ManifestTools, schemas: string, text: string): string[] {
  const { stdout, stderr } = printed(
    kubeconform,
    ['-strict', '-verbose', '-output', 'json', '-schema-location', join(schemas, FILE_NAME)],
    text,
  );
  if (!stdout) throw new Error(`kubeconform: ${stderr}`);
  const { resources } = report.parse(JSON.parse(stdout));
  const checked = parseManifests(text).length;
  if (resources.length !== checked)
    throw new Error(`kubeconform has seen ${resources.length} of ${checked} manifests`);
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

/** What kube-score calls good. Less is a warning or worse. */
const GOOD = 10;

export interface Fault {
  /** As `Deployment/orders`. */
  object: string;
  check: string;
  why: string;
}

const OPTIONAL = ['container-seccomp-profile', 'container-ports-check'].flatMap((check) => [
  '--enable-optional-test',
  check,
]);

/** What kube-score has against manifests. */
export function faults({ kubeScore }: ManifestTools, text: string): Fault[] {
  const args = ['score', '--kubernetes-version', 'v1.36', '--output-format', 'json', ...OPTIONAL, '-'];
  const { stdout, stderr } = printed(kubeScore, args, text);
  if (!stdout) throw new Error(`kube-score: ${stderr}`);
  return scores.parse(JSON.parse(stdout)).flatMap(({ object_name: path, checks }) => {
    const [kind = '', ...rest] = path.split('/');
    const object = `${kind}/${rest.at(-1) ?? ''}`;
    return checks
      .filter(({ grade, skipped }) => !skipped && grade < GOOD)
      .map(({ check: { id }, comments }) => ({
        object,
        check: id,
        why: comments.map(({ path: where, summary }) => `(${where}) ${summary}`).join(', '),
      }));
  });
}

function printed(program: string, args: string[], input = '') {
  const done = spawnSync(program, args, { cwd: root, input, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (done.error) throw done.error;
  return done;
}
