import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { usedComponents, writeDaprdModule } from '../../deploy/local/programs/dapr-components.ts';
import {
  downloadPathOf,
  outputOf,
  serveReleases,
  type ReleasedProgram,
  type Releases,
} from '../support/releases.ts';

// Every import of processes.ts adds an exit listener.
process.setMaxListeners(20);

let scratch: string;
let releases: Releases;
beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sidecart-dapr-'));
  releases = await serveReleases();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await releases.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function put(name: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(scratch, name)), { recursive: true });
  writeFileSync(join(scratch, name), text);
  chmodSync(join(scratch, name), mode);
}

/** Replaces Go: it records its calls, and creates a program that prints the package. */
const GO = `#!/bin/sh
echo "$PWD $*" >>"\${0%/*}/../go.log"
case "$*" in
  *'list -m'*) echo "\${0%/*}/../source" ;;
  build*) while [ "$1" != -o ]; do shift; done; printf '#!/bin/sh\\necho built %s\\n' "$3" >"$2"; chmod +x "$2" ;;
esac
`;
const calls = () =>
  existsSync(join(scratch, 'go.log')) ? readFileSync(join(scratch, 'go.log'), 'utf8') : '';

function withGo(): void {
  put('bin/go', GO, 0o755);
  const imports = (name: string) => `import "github.com/dapr/dapr/cmd/daprd/${name}"\n`;
  put('source/cmd/daprd/main.go', imports('app'));
  put('source/cmd/daprd/app/app.go', imports('components'));
  put('source/cmd/daprd/components/state_sqlite.go', '"sqlite"');
}

/** Imports the module for a machine with only the given programs. The module reads the environment at its import. */
async function findOrBuild(env: Record<string, string> = {}) {
  mkdirSync(join(scratch, 'bin'), { recursive: true });
  const machine = {
    PATH: `${join(scratch, 'bin')}:/usr/bin:/bin`,
    HOME: scratch,
    DAPR_RUNTIME_PATH: scratch,
    SIDECART_CACHE_DIR: join(scratch, 'cache'),
    DAPR_RELEASES: releases.url,
  };
  for (const [name, value] of Object.entries({ ...machine, ...env })) vi.stubEnv(name, value);
  vi.resetModules();
  const { findOrBuildDapr } = await import('../../deploy/local/programs/dapr.ts');
  const {
    cli,
    daprd,
    scheduler,
    placement,
    env: forDapr,
  } = await findOrBuildDapr(() => {}, ['scheduler', 'placement']);
  const printed = (program: string) => spawnSync(program, { encoding: 'utf8' }).stdout.trim();
  return {
    printed: [daprd, scheduler, placement, cli].map(printed),
    daprd,
    isWhereDaprLooks: daprd === join(forDapr['DAPR_RUNTIME_PATH'] ?? '', '.dapr/bin/daprd'),
  };
}

const PUBLISHED = (['daprd', 'scheduler', 'placement', 'dapr'] as const).map(outputOf);
const withdraw = (...names: ReleasedProgram[]) => {
  for (const name of names) releases.handlers.delete(downloadPathOf(name));
};

describe('the first start without Dapr', { timeout: 60_000 }, () => {
  it('When there is a release, then it is downloaded once, and nothing is built', async () => {
    withGo();
    const found = await findOrBuild();
    expect(found).toMatchObject({ printed: PUBLISHED, isWhereDaprLooks: true });
    const { length } = releases.requestedPaths;
    expect(await findOrBuild()).toEqual(found);
    expect(releases.requestedPaths).toHaveLength(length);
    expect(calls()).toBe('');
  });

  it('When there is none, then daprd is built with the used components and cached', async () => {
    withGo();
    withdraw('daprd', 'scheduler', 'placement', 'dapr');
    const found = await findOrBuild();
    expect(found).toMatchObject({
      printed: [
        'built .',
        'built github.com/dapr/dapr/cmd/scheduler',
        'built github.com/dapr/dapr/cmd/placement',
        'built github.com/dapr/cli',
      ],
      isWhereDaprLooks: true,
    });
    const before = calls();
    expect(await findOrBuild()).toEqual(found);
    expect(calls()).toBe(before);
  });

  it('When all components are needed, then a daprd with all is built', async () => {
    withGo();
    withdraw('daprd', 'scheduler', 'placement', 'dapr');
    const { daprd } = await findOrBuild();
    const all = await findOrBuild({ DAPR_COMPONENTS: 'all' });
    expect(all.printed[0]).toBe('built github.com/dapr/dapr/cmd/daprd');
    expect(all.daprd).not.toBe(daprd);
    expect(all.isWhereDaprLooks).toBe(true);
  });

  it('When only a part is released, then the rest is built', async () => {
    withGo();
    withdraw('dapr');
    const { printed } = await findOrBuild();
    expect(printed).toEqual([...PUBLISHED.slice(0, 3), 'built github.com/dapr/cli']);
  });

  it('When the download has the wrong checksum, then the start fails and nothing is built', async () => {
    withGo();
    releases.handlers.set(downloadPathOf('scheduler'), (_, response) => void response.end('something else'));
    await expect(findOrBuild()).rejects.toThrow(`${downloadPathOf('scheduler')} has the wrong checksum`);
    expect(calls()).not.toContain('build');
  });

  it('When there is neither a release nor Go, then the error says what to do', async () => {
    withdraw('daprd');
    await expect(findOrBuild()).rejects.toThrow(
      new RegExp(
        `Dapr \\(daprd\\) is not installed[^]*${downloadPathOf('daprd')}: status 404[^]*dapr init[^]*DAPR_RELEASES`,
      ),
    );
  });
});

describe('the components of a built daprd', () => {
  it('When component files and profiles are read, then these are all their types', () => {
    expect(usedComponents()).toEqual([
      'bindings.smtp',
      'configuration.postgresql',
      'configuration.redis',
      'nameresolution.consul',
      'nameresolution.mdns',
      'nameresolution.sqlite',
      'pubsub.jetstream',
      'pubsub.redis',
      'secretstores.local.file',
      'state.postgresql',
      'state.sqlite',
    ]);
  });

  it('When daprd is generated, then it registers exactly those types', () => {
    const file = (name: string, ...types: string[]) =>
      put(`source/cmd/daprd/components/${name}.go`, types.map((type) => `"${type}"`).join());
    file('state_postgres', 'postgres', 'postgresql');
    file('state_redis', 'redis');
    file('pubsub_redis', 'redis');
    file('secretstores_local_file', 'local.file');
    file('secretstores_local_env', 'local.env');
    file('middleware_http_bearer', 'bearer');
    put('source/cmd/daprd/main.go', 'import "github.com/dapr/dapr/cmd/daprd/app"');
    put('source/cmd/daprd/app/app.go', '_ "github.com/dapr/dapr/cmd/daprd/components"');
    const into = join(scratch, 'module');
    writeDaprdModule({
      source: join(scratch, 'source'),
      types: [
        'state.postgresql',
        'pubsub.redis',
        'secretstores.local.file',
        'middleware.http.bearer',
        'state.mine',
      ],
      module: 'own',
      into,
    });
    expect(readdirSync(join(into, 'components')).toSorted()).toEqual([
      'middleware_http_bearer.go',
      'pubsub_redis.go',
      'secretstores_local_file.go',
      'state_postgres.go',
    ]);
    expect(readFileSync(join(into, 'main.go'), 'utf8')).toBe('import "own/app"');
    expect(readFileSync(join(into, 'app/app.go'), 'utf8')).toBe('_ "own/components"');
  });
});
