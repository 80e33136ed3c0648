import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeDaprd } from './dapr-components.ts';
import type { DaprProgram } from './dapr-release.ts';
import { buildWithGo, moduleFolder } from './go-build.ts';
import { DAPR_CLI, DAPR_RUNTIME } from './versions.ts';
import { output, run } from '../machine/processes.ts';
import { inScratch } from '../machine/scratch-folder.ts';

const DAPR = 'github.com/dapr/dapr';

/** As Dapr builds what it publishes: without a C compiler, without what only a debugger reads. */
const ENV = { CGO_ENABLED: '0' };
const version = (variable: string, value: string) => ['-ldflags', `-s -w -X ${variable}=${value}`];
const RUNTIME = ['-tags', 'allcomponents', ...version(`${DAPR}/pkg/buildinfo.version`, DAPR_RUNTIME)];
const CLI = version('main.version', DAPR_CLI);

/**
 * Builds programs of Dapr with Go. Runtime and CLI, which share next to nothing, are built side by side: a linker uses one
 * processor for most of its time.
 *
 * @param options.programs the path of each program that is wanted
 * @param options.types the components of daprd; not given: all
 */
export async function buildDapr(options: {
  programs: ReadonlyMap<DaprProgram, string>;
  types: readonly string[] | undefined;
  logFile: string;
}): Promise<void> {
  const { programs, types, logFile } = options;
  const part = async (name: DaprProgram, build: (program: string) => Promise<void>) => {
    const program = programs.get(name);
    if (program) await build(program);
  };
  const common = { logFile, env: ENV };
  const runtime = { ...common, module: 'runtime', flags: RUNTIME };
  const buildRuntime = async () => {
    await part('daprd', (program) =>
      types
        ? buildWithComponents({ program, types, logFile })
        : buildWithGo({ ...runtime, program, source: `${DAPR}/cmd/daprd` }),
    );
    await part('scheduler', (program) =>
      buildWithGo({ ...runtime, program, source: `${DAPR}/cmd/scheduler` }),
    );
  };
  const buildCli = () =>
    part('dapr', (program) =>
      buildWithGo({ ...common, module: 'cli', flags: CLI, program, source: 'github.com/dapr/cli' }),
    );
  await Promise.all([buildRuntime(), buildCli()]);
}

/** The module is a copy of toolchain/runtime, so that the versions and their checksums stay the same. */
async function buildWithComponents(options: {
  program: string;
  types: readonly string[];
  logFile: string;
}): Promise<void> {
  const { program, types, logFile } = options;
  const toolchain = moduleFolder('runtime');
  await run('go', ['mod', 'download', DAPR], { logFile, cwd: toolchain });
  const source = output('go', '-C', toolchain, 'list', '-m', '-f', '{{.Dir}}', DAPR)?.trim();
  if (!source) throw new Error(`Go did not print the folder of ${DAPR}; see ${logFile}`);
  await inScratch(dirname(program), async (module) => {
    for (const name of ['go.mod', 'go.sum']) copyFileSync(join(toolchain, name), join(module, name));
    writeDaprd({ source, types, module: 'toolchain-runtime', into: module });
    await buildWithGo({ program, module, flags: RUNTIME, source: '.', logFile, env: ENV });
  });
}
