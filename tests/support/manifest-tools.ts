import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readOutput, runProgram } from '../../deploy/local/machine/processes.ts';
import { buildWithGo } from '../../deploy/local/programs/go-build.ts';

/** The programs that check the manifests of deploy/kubernetes: services/decisions/0072-static-checks-of-manifests.md. */
export interface ManifestTools {
  /** Prints the manifests of the folder in the last argument. */
  kustomize: readonly [program: string, ...args: string[]];
  kubeconform: string;
  kubeScore: string;
  /** The folder of each Go module of toolchain/schemas, by the module's path. */
  schemaSources: ReadonlyMap<string, string>;
}

/** The oldest tested versions. */
const OLDEST_KUSTOMIZE = [5, 5] as const;
const OLDEST_KUBECONFORM = [0, 8] as const;

const TOOLCHAIN = join(root, 'deploy/local/toolchain');

/** The installed programs, else ones that Go builds once into the cache, and the sources of the schemas. */
export async function findOrBuildManifestTools(onProgress: (step: string) => void): Promise<ManifestTools> {
  return {
    kustomize: installedKustomize() ?? [
      await findOrBuildTool('kustomize', 'sigs.k8s.io/kustomize/kustomize/v5', onProgress),
      'build',
    ],
    kubeconform: isAtLeast(OLDEST_KUBECONFORM, readOutput('kubeconform', '-v'))
      ? 'kubeconform'
      : await findOrBuildTool('kubeconform', 'github.com/yannh/kubeconform/cmd/kubeconform', onProgress),
    // Never the installed one, because another version has other checks.
    kubeScore: await findOrBuildTool('kube-score', 'github.com/zegl/kube-score/cmd/kube-score', onProgress),
    schemaSources: await findOrDownloadSchemaSources(onProgress),
  };
}

function installedKustomize(): ManifestTools['kustomize'] | undefined {
  if (isAtLeast(OLDEST_KUSTOMIZE, readOutput('kustomize', 'version'))) return ['kustomize', 'build'];
  const [, kubectlVersion] =
    /"kustomizeVersion": *"([^"]+)"/.exec(readOutput('kubectl', 'version', '--client', '-o', 'json') ?? '') ??
    [];
  return isAtLeast(OLDEST_KUSTOMIZE, kubectlVersion) ? ['kubectl', 'kustomize'] : undefined;
}

/** Whether the first version in the text is this one or newer. */
function isAtLeast([major, minor]: readonly [number, number], text = ''): boolean {
  const [, foundMajor = -1, foundMinor = 0] = (/(\d+)\.(\d+)\.\d+/.exec(text) ?? []).map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

/** The path of a program in the version of toolchain/manifests. */
async function findOrBuildTool(
  name: string,
  source: string,
  onProgress: (step: string) => void,
): Promise<string> {
  const versions = createHash('sha256').update(readFileSync(join(TOOLCHAIN, 'manifests/go.mod')));
  const program = join(ensureFolder(cacheDir, `manifest-tools-${versions.digest('hex').slice(0, 12)}`), name);
  if (existsSync(program)) return program;
  assertGoInstalled(name);
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'manifest-tools-build.log');
  onProgress(`Building ${name} with Go (once; one to two minutes), log: ${logFile}`);
  await buildWithGo({ program, module: 'manifests', flags: ['-ldflags', '-s -w'], source, logFile });
  return program;
}

/** Go keeps the sources in its own cache, and checks the checksums of toolchain/schemas. */
async function findOrDownloadSchemaSources(onProgress: (step: string) => void): Promise<Map<string, string>> {
  assertGoInstalled('the schemas of Kubernetes');
  const cwd = join(TOOLCHAIN, 'schemas');
  const modules = [...readFileSync(join(cwd, 'go.mod'), 'utf8').matchAll(/^\t(\S+) (v\S+)$/gm)];
  const cache = readOutput('go', 'env', 'GOMODCACHE')?.trim() ?? '';
  const sources = new Map(
    modules.map(([, path = '', version = '']) => [path, join(cache, `${path}@${version}`)]),
  );
  if ([...sources.values()].every((source) => existsSync(source))) return sources;
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'schemas-download.log');
  onProgress(
    `Downloading the schemas of Kubernetes, Dapr and Gateway API with Go (once; 45 MB), log: ${logFile}`,
  );
  const versions = modules.map(([, path = '', version = '']) => `${path}@${version}`);
  await runProgram('go', ['mod', 'download', ...versions], { logFile, cwd });
  return sources;
}

function assertGoInstalled(what: string): void {
  if (readOutput('go', 'version') === undefined)
    throw new Error(`The tests of the manifests need Go for ${what}. Install Go: https://go.dev.`);
}
