import { randomBytes } from 'node:crypto';
import { root } from '../../deploy/local/machine/paths.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { run } from './cluster.ts';

/** From an empty cache. */
const BUILD_MS = 600_000;

/** An image as Kustomize replaces it: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/ */
export interface ReplacedImage {
  name: string;
  newName: string;
  newTag: string;
}

/**
 * Builds every image and brings it into the cluster, with a tag of this run.
 *
 * @param command a line for the shell. It finds the image's name in `IMAGE` and the arguments of its build in `BUILD_ARGUMENTS`.
 * @param registry what comes before the names of images, such as `registry.example/shop/`; empty for none
 * @throws Error with the end of what the command said, where it fails
 */
export async function loadImages(
  command: string,
  registry: string,
  tell: (line: string) => void,
): Promise<ReplacedImage[]> {
  const tag = `test-${randomBytes(4).toString('hex')}`;
  const services = readTemplate().apps.map(({ appID }) => ({
    name: `sidecart/${appID}`,
    build: `--target service --build-arg SERVICE=${appID}`,
  }));
  const all = [...services, { name: 'sidecart/mail-catcher', build: '--target mail-catcher' }];
  for (const { name, build } of all) {
    const image = `${registry}${name}:${tag}`;
    const started = performance.now();
    const env = { IMAGE: image, BUILD_ARGUMENTS: `-f deploy/docker/Dockerfile ${build}` };
    const { status, stdout, stderr } = await run('sh', ['-c', `cd '${root}' && ${command}`], {
      env,
      deadlineMs: BUILD_MS,
    });
    if (status !== 0) throw new Error(`${image} could not be built and loaded:\n${endOf(stdout + stderr)}`);
    tell(`  ${image}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  return all.map(({ name }) => ({ name, newName: registry + name, newTag: tag }));
}

const endOf = (text: string) => text.trim().split('\n').slice(-8).join('\n');

/** `postgres=mirror.example/postgres:17,…` @throws Error naming what is wrong */
export function replacedImages(text: string): ReplacedImage[] {
  return text
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => {
      const [, name, newName, newTag] = /^([^=]+)=(.+):([\w.-]+)$/.exec(one.trim()) ?? [];
      if (name === undefined || newName === undefined || newTag === undefined)
        throw new Error(`--image must be like postgres=mirror.example/postgres:17.6, not ${one}`);
      return { name, newName, newTag };
    });
}
