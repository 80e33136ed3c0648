import { randomBytes } from 'node:crypto';
import { root } from '../../deploy/local/machine/paths.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { folderOf, type Twin } from '../../deploy/local/programs/twins.ts';
import { twinOf } from '../support/twins.ts';
import { run } from './cluster.ts';

/** The time to build an image with an empty cache. */
const BUILD_MS = 600_000;

/** An image replacement of Kustomize: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/ */
export interface ReplacedImage {
  name: string;
  newName: string;
  newTag: string;
}

/** An image that the test builds. */
export interface BuiltImage {
  name: string;
  /** The build context, in which the command runs. */
  folder: string;
  /** The arguments of the build. */
  build: string;
}

/** The images of the overlay. That of a twin has the name of the service that it replaces, so the manifests stay as they are. */
export function imagesToBuild(twins: readonly Twin[]): BuiltImage[] {
  const ofThisRepository = (name: string, target: string) => ({
    name: `sidecart/${name}`,
    folder: root,
    build: `-f deploy/docker/Dockerfile --target ${target}`,
  });
  const services = readTemplate().apps.map(({ appID }) =>
    twinOf(twins, appID)
      ? { name: `sidecart/${appID}`, folder: folderOf(appID), build: '' }
      : ofThisRepository(appID, `service --build-arg SERVICE=${appID}`),
  );
  return [...services, ofThisRepository('mail-catcher', 'mail-catcher')];
}

/**
 * Builds every image with a tag of this run and loads it into the cluster.
 *
 * @param command a shell command that gets the image name in `IMAGE` and the build arguments in `BUILD_ARGUMENTS`
 * @param registry the prefix of image names, such as `registry.example/shop/`, or an empty string
 * @throws Error with the last lines of the output if the command fails
 */
export async function loadImages(
  all: readonly BuiltImage[],
  command: string,
  registry: string,
  print: (line: string) => void,
): Promise<ReplacedImage[]> {
  const tag = `test-${randomBytes(4).toString('hex')}`;
  for (const { name, folder, build } of all) {
    const image = `${registry}${name}:${tag}`;
    const started = performance.now();
    const env = { IMAGE: image, BUILD_ARGUMENTS: build };
    const { status, stdout, stderr } = await run('sh', ['-c', `cd '${folder}' && ${command}`], {
      env,
      timeoutMs: BUILD_MS,
    });
    if (status !== 0) throw new Error(`${image} was not built and loaded:\n${lastLinesOf(stdout + stderr)}`);
    print(`  ${image}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  return all.map(({ name }) => ({ name, newName: registry + name, newTag: tag }));
}

const lastLinesOf = (text: string) => text.trim().split('\n').slice(-8).join('\n');

/** `postgres=mirror.example/postgres:17,…` @throws Error with the invalid entry */
export function replacedImages(text: string): ReplacedImage[] {
  return text
    .split(',')
    .filter((entry) => entry.trim() !== '')
    .map((entry) => {
      const [, name, newName, newTag] = /^([^=]+)=(.+):([\w.-]+)$/.exec(entry.trim()) ?? [];
      if (name === undefined || newName === undefined || newTag === undefined)
        throw new Error(`--image must be like postgres=mirror.example/postgres:17.6, not ${entry}`);
      return { name, newName, newTag };
    });
}
