import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DAPR_RUNTIME_VERSION } from '../../deploy/local/programs/versions.ts';
import { root } from '../../deploy/local/machine/paths.ts';

const textOf = (path: string) => readFileSync(join(root, path), 'utf8');

describe('the images', () => {
  it('When npm start pins a version of Node.js, then the images use the same one', () => {
    const { optionalDependencies } = JSON.parse(textOf('package.json')) as {
      optionalDependencies: Record<string, string>;
    };
    const versions = new Set(Object.values(optionalDependencies));
    const [, version] =
      /^ARG NODE_IMAGE=node:([\d.]+)-bookworm-slim$/m.exec(textOf('deploy/docker/Dockerfile')) ?? [];
    expect(versions).toEqual(new Set([version]));
  });

  it('When a stage begins, then its base is a pinned image or empty', () => {
    const bases = [...textOf('deploy/docker/Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    expect(new Set(bases)).toEqual(new Set(['${NODE_IMAGE}', '${DAPRD_IMAGE}', 'scratch']));
    expect(textOf('deploy/docker/Dockerfile')).toContain(
      `ARG DAPRD_IMAGE=daprio/daprd:${DAPR_RUNTIME_VERSION}\n`,
    );
  });
});
