import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithGo } from '../../deploy/local/programs/go-build.ts';
import { cacheDir, folder, root } from '../../deploy/local/machine/paths.ts';
import { output, run } from '../../deploy/local/machine/processes.ts';

/** What checks the manifests of deploy/kubernetes: services/decisions/0072-static-checks-of-manifests.md. */
export interface ManifestTools {
  /** Prints the manifests of a folder, which comes as the last argument. */
  kustomize: readonly [program: string, ...args: string[]];
  kubeconform: string;
  kubeScore: string;
  /** The folder of a Go module of toolchain/schemas, by the module's path. */
  schemaSources: ReadonlyMap<string, string>;
}

/** The oldest that were tried. */
const KUSTOMIZE = [5, 5] as const;
const KUBECONFORM = [0, 8] as const;

const TOOLCHAIN = join(root, 'deploy/local/toolchain');

/** The programs of the machine, else ones that are built with Go, once, into the cache; and what schemas are made of. */
export async function findOrBuildManifestTools(tell: (what: string) => void): Promise<ManifestTools> {
  return {
    kustomize: installedKustomize() ?? [
      await built('kustomize', 'sigs.k8s.io/kustomize/kustomize/v5', tell),
      'build',
    ],
    kubeconform: isAtLeast(KUBECONFORM, output('kubeconform', '-v'))
      ? 'kubeconform'
      : await built('kubeconform', 'github.com/yannh/kubeconform/cmd/kubeconform', tell),
    // Never the one of the machine: another version has other checks.
    kubeScore: await built('kube-score', 'github.com/zegl/kube-score/cmd/kube-score', tell),
    schemaSources: await findOrDownloadSchemaSources(tell),
  };
}

function installedKustomize(): ManifestTools['kustomize'] | undefined {
  if (isAtLeast(KUSTOMIZE, output('kustomize', 'version'))) return ['kustomize', 'build'];
  const [, ofKubectl] =
    /"kustomizeVersion": *"([^"]+)"/.exec(output('kubectl', 'version', '--client', '-o', 'json') ?? '') ?? [];
  return isAtLeast(KUSTOMIZE, ofKubectl) ? ['kubectl', 'kustomize'] : undefined;
}

/** Whether the first version in a text is this one or a newer one. */
function isAtLeast([major, minor]: readonly [number, number], text = ''): boolean {
  const [, ours = -1, minors = 0] = (/(\d+)\.(\d+)\.\d+/.exec(text) ?? []).map(Number);
  return ours > major || (ours === major && minors >= minor);
}

/** The path of a program that has the version of toolchain/manifests. */
async function built(name: string, source: string, tell: (what: string) => void): Promise<string> {
  const versions = createHash('sha256').update(readFileSync(join(TOOLCHAIN, 'manifests/go.mod')));
  const program = join(folder(cacheDir, `manifest-tools-${versions.digest('hex').slice(0, 12)}`), name);
  if (existsSync(program)) return program;
  demandGo(name);
  const logFile = join(folder(cacheDir, 'logs'), 'manifest-tools-build.log');
  tell(`Building ${name} with Go (once; one to two minutes), log: ${logFile}`);
  await buildWithGo({ program, module: 'manifests', flags: ['-ldflags', '-s -w'], source, logFile });
  return program;
}

/** Go keeps them in its own cache, and compares them with the checksums of toolchain/schemas. */
async function findOrDownloadSchemaSources(tell: (what: string) => void): Promise<Map<string, string>> {
  demandGo('the schemas of Kubernetes');
  const cwd = join(TOOLCHAIN, 'schemas');
  const modules = [...readFileSync(join(cwd, 'go.mod'), 'utf8').matchAll(/^\t(\S+) (v\S+)$/gm)];
  const cache = output('go', 'env', 'GOMODCACHE')?.trim() ?? '';
  const sources = new Map(
    modules.map(([, path = '', version = '']) => [path, join(cache, `${path}@${version}`)]),
  );
  if ([...sources.values()].every((source) => existsSync(source))) return sources;
  const logFile = join(folder(cacheDir, 'logs'), 'schemas-download.log');
  tell(`Downloading the schemas of Kubernetes, Dapr and Gateway API with Go (once; 45 MB), log: ${logFile}`);
  const versions = modules.map(([, path = '', version = '']) => `${path}@${version}`);
  await run('go', ['mod', 'download', ...versions], { logFile, cwd });
  return sources;
}

function demandGo(what: string): void {
  if (output('go', 'version') === undefined)
    throw new Error(`The tests of the manifests need Go for ${what}. Install Go: https://go.dev.`);
}
