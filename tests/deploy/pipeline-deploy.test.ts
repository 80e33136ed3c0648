import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ACCESS } from '../../services/access.ts';
import { installScripts, runProgram } from '../support/programs.ts';

/**
 * The deployment and rollback scripts of deploy/pipeline. Small programs replace docker, cosign and kubectl, and record their
 * calls. deploy/pipeline/README.md describes a run with the real kubectl.
 */

const COMMIT = 'c0ffee0000000000000000000000000000000000';
const DIGEST = `sha256:${'1'.repeat(64)}`;

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'sidecart-pipeline-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const script = (name: string, args: string[], options: { cwd?: string; env?: Record<string, string> } = {}) =>
  runProgram(options.cwd ? join(process.cwd(), 'deploy/pipeline', name) : `deploy/pipeline/${name}`, args, {
    ...options,
    env: { PATH: `${folder}/bin${delimiter}${process.env['PATH'] ?? ''}`, FOLDER: folder, ...options.env },
  });
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const lines = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');

describe('the images of a commit', () => {
  const env = { REGISTRY: 'registry.example/shop', REPOSITORY: 'shop/sidecart' };
  const docker = `echo "$@" >>"$FOLDER/docker"; echo '"${DIGEST}"'`;

  it('When all are signed, then each is referenced by digest', async () => {
    installScripts(`${folder}/bin`, { docker, cosign: 'echo "$@" >>"$FOLDER/cosign"' });
    const { code, out } = await script('images.sh', [COMMIT], { env });
    const expected = ACCESS.map(({ app }) => `${app} registry.example/shop/${app}@${DIGEST}`);
    expect(out.trimEnd().split('\n').toSorted()).toEqual(expected.toSorted());
    expect(code).toBe(0);
    expect(lines('docker')).toContainEqual(
      expect.stringMatching(new RegExp(` registry\\.example/shop/orders:${COMMIT}$`)),
    );
    const orders = lines('cosign').find((line) => line.includes('/orders@'));
    expect(orders).toContain(`verify registry.example/shop/orders@${DIGEST} --annotations service=orders`);
    expect(orders).toContain('/shop/sidecart/.github/workflows/images.yml@refs/heads/main');
    expect(orders).toContain(`--certificate-github-workflow-sha ${COMMIT}`);
  });

  it('When one is not signed, then the deployment fails before it starts', async () => {
    installScripts(`${folder}/bin`, { docker, cosign: 'case "$2" in */payments@*) exit 12 ;; esac' });
    expect(await script('images.sh', [COMMIT], { env })).toMatchObject({ code: 12 });
  });

  it('When one does not exist, then the deployment fails before it starts', async () => {
    installScripts(`${folder}/bin`, { docker: 'exit 1', cosign: '' });
    expect(await script('images.sh', [COMMIT], { env })).toMatchObject({ code: 1, out: '' });
  });
});

describe('the manifests of a commit', () => {
  it('When they are rendered, then they have its images by digest, and the commit on every pod', async () => {
    cpSync('deploy/pipeline', join(folder, 'pipeline'), { recursive: true });
    mkdirSync(join(folder, 'kubernetes/overlays/production'), { recursive: true });
    installScripts(`${folder}/bin`, { kubectl: 'cat "$2/kustomization.yaml"' });
    const images = file('images', `orders registry.example:5000/shop/orders@${DIGEST}\n`);
    const env = { PATH: `${folder}/bin${delimiter}${process.env['PATH'] ?? ''}` };
    const { code, out } = await runProgram(join(folder, 'pipeline/render.sh'), [COMMIT, images], { env });
    expect(code).toBe(0);
    const rendered = parse(out) as { resources: string[]; images: unknown[]; patches: { patch: string }[] };
    expect(rendered.resources).toEqual(['../production']);
    const orders = { name: 'sidecart/orders', newName: 'registry.example:5000/shop/orders', digest: DIGEST };
    expect(rendered.images).toEqual([orders]);
    expect(parse(rendered.patches[0]?.patch ?? '')).toMatchObject({
      kind: 'Deployment',
      spec: { template: { metadata: { annotations: { 'sidecart/commit': COMMIT } } } },
    });
  });
});

/** A kubectl that stores one record, lists the content of a file, and records changes. */
const KUBECTL = `
case "$*" in
  "get "*data.commit*) cat "$FOLDER/recorded-commit" 2>/dev/null || true ;;
  "get "*) cat "$FOLDER/recorded-manifests" 2>/dev/null || true ;;
  "create secret "*) base64 -w0 "\${11}"; echo; printf %s "\${13#commit=}" | base64 -w0; echo ;;
  "apply "*"-f -") read -r manifests; read -r commit
    printf %s "$manifests" >"$FOLDER/recorded-manifests"; printf %s "$commit" >"$FOLDER/recorded-commit" ;;
  "apply "*) echo "apply $(tr '\\n' ' ' <"\${!#}")" >>"$FOLDER/changes"; cat "\${!#}" ;;
  "create "*) cat "\${!#}" ;;
  "rollout "*) echo "wait $3" >>"$FOLDER/changes"; [ "$3" != "$NEVER_READY" ] ;;
  "delete "*) echo "delete \${!#}" >>"$FOLDER/changes" ;;
esac`;
const objects = (...names: string[]) => `${names.join('\n')}\n`;

describe('rollback', () => {
  beforeEach(() => installScripts(`${folder}/bin`, { kubectl: KUBECTL }));
  const run = (name: string, args: string[], env: Record<string, string> = {}) =>
    script(name, args, { env: { NEVER_READY: '', ...env } });
  const record = async (commit: string, manifests: string) =>
    expect(await run('record.sh', [commit, manifests])).toMatchObject({ code: 0 });

  it('When a deployment was recorded, then the rollback applies all of it before it waits', async () => {
    await record(COMMIT, file('good', objects('configmap/a', 'deployment.apps/orders')));
    const failed = objects(
      'configmap/b',
      'deployment.apps/orders',
      'networkpolicy.networking.k8s.io/new',
      'persistentvolumeclaim/data',
      'namespace/other',
    );
    const { code, out } = await run('rollback.sh', [file('failed', failed)]);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining(COMMIT) });
    expect(lines('changes')).toEqual([
      'apply configmap/a deployment.apps/orders ',
      'delete configmap/b',
      'delete networkpolicy.networking.k8s.io/new',
      'wait deployment.apps/orders',
    ]);
  });

  it('When nothing was recorded, then nothing changes', async () => {
    const { code } = await run('rollback.sh', [file('failed', objects('deployment.apps/orders'))]);
    expect(code).toBe(3);
    expect(() => lines('changes')).toThrow('ENOENT');
  });

  it('When the cluster is unavailable, then it does not count as a first deployment', async () => {
    installScripts(`${folder}/bin`, { kubectl: 'exit 1' });
    expect(await run('rollback.sh', [file('failed', '')])).toMatchObject({ code: 1 });
    expect(await run('in-order.sh', [COMMIT])).toMatchObject({ code: 1 });
  });

  it('When the rollback does not become ready, then the script says so', async () => {
    await record(COMMIT, file('good', objects('deployment.apps/orders')));
    const never = { NEVER_READY: 'deployment.apps/orders' };
    expect((await run('rollback.sh', [file('failed', '')], never)).code).not.toBe(0);
  });

  it('When a new deployment succeeds, then resources that only the previous one has are deleted', async () => {
    await record(COMMIT, file('before', objects('configmap/a', 'deployment.apps/orders')));
    const manifests = file('now', objects('configmap/b', 'deployment.apps/orders'));
    await record('another', manifests);
    expect(lines('changes')).toEqual(['delete configmap/a']);
    expect((await run('recorded.sh', [])).out).toBe(readFileSync(manifests, 'utf8'));
    expect((await run('recorded.sh', ['commit'])).out).toBe('another');
  });

  it('When a commit is older than the running one, then it is rejected', async () => {
    const git = async (...args: string[]) => {
      const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false'];
      return (await runProgram('git', [...who, ...args], { cwd: folder })).out.trim();
    };
    await git('init', '-q');
    const commits: string[] = [];
    for (const message of ['first', 'second', 'third']) {
      await git('commit', '-q', '--allow-empty', '-m', message);
      commits.push(await git('rev-parse', 'HEAD'));
    }
    const [first = '', second = '', third = ''] = commits;
    const inOrder = async (commit: string) =>
      (await script('in-order.sh', [commit], { cwd: folder, env: { NEVER_READY: '' } })).code;

    expect(await inOrder(first)).toBe(0);
    await record(second, file('good', objects('configmap/a')));
    expect([await inOrder(first), await inOrder(second), await inOrder(third)]).toEqual([1, 0, 0]);
    await record('f'.repeat(40), file('good', objects('configmap/a')));
    expect(await inOrder(first)).toBe(0);
  });
});
