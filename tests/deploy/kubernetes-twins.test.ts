import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { ALL_TWINS, folderOf, parseTwins } from '../../deploy/local/programs/twins.ts';
import { imagesToBuild } from '../kubernetes/images.ts';
import { writeOverlay } from '../kubernetes/write-overlay.ts';
import { renderAll } from '../support/manifests.ts';
import { podViolations } from '../support/pod-rules.ts';
import { servicesIn, type Workload } from '../support/workloads.ts';

/** The images of `npm run test:kubernetes -- --with`, and the manifests that run them. */

vi.setConfig({ hookTimeout: 60_000 });

const twins = parseTwins(ALL_TWINS);
const twinOf = (name: string) => twins.find(({ service }) => service === name);
const images = imagesToBuild(twins);
const folder = mkdtempSync(join(ensureFolder(root, '.sidecart/kubernetes'), 'twins-'));
let services: Workload[];

beforeAll(async () => {
  const replaced = images.map(({ name }) => ({ name, newName: `registry.example/${name}`, newTag: 'twin' }));
  writeOverlay(folder, replaced, []);
  const [rendered] = await renderAll([relative(join(root, 'deploy/kubernetes'), folder)]);
  services = servicesIn(rendered!.manifests);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(twins)('the image of $service in $language', ({ service }) => {
  const built = images.find(({ name }) => name === `sidecart/${service}`)!;
  const dockerfile = readFileSync(join(built.folder, 'Dockerfile'), 'utf8');

  it('When it is built, then its folder is the context, and each base has an exact version or is empty', () => {
    expect(built).toMatchObject({ folder: folderOf(service), build: '' });
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    expect(bases.filter((base) => base !== 'scratch' && !/:\d+\.\d+/.test(base ?? ''))).toEqual([]);
  });

  it('When it starts by itself, then its user is not root', () => {
    const [, user] = /^USER (\S+)$/m.exec(dockerfile) ?? [];
    expect(user).not.toMatch(/^(root|0)?$/);
  });

  it('When it replaces that of this repository, then all else in the pod stays, and follows the rules', () => {
    const pod = services.find(({ name }) => name === service)!;
    const [app] = pod.containers;
    expect(app!.image).toBe(`registry.example/sidecart/${service}:twin`);
    // The image brings its own command.
    expect([app!['command'], app!['args']]).toEqual([undefined, undefined]);
    expect(podViolations(pod)).toEqual([]);
  });
});

describe('the other images', () => {
  it('When twins are requested, then the other services come from the Dockerfile of this repository', () => {
    const others = images.filter(({ name }) => !twinOf(name.replace('sidecart/', '')));
    expect(others).toHaveLength(images.length - twins.length);
    for (const other of others)
      expect(other).toMatchObject({
        folder: root,
        build: expect.stringMatching(/^-f deploy\/docker\/Dockerfile /),
      });
  });
});
