import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readOutput, runProgram } from '../machine/processes.ts';
import { withScratchFolder } from '../machine/scratch-folder.ts';
import { writeDaprdModule } from './dapr-components.ts';
import type { DaprProgram } from './dapr-release.ts';
import { buildWithGo, moduleFolder } from './go-build.ts';
import { DAPR_CLI_VERSION, DAPR_RUNTIME_VERSION } from './versions.ts';

const DAPR_MODULE = 'github.com/dapr/dapr';

/** As in Dapr's releases: without a C compiler and without debugging information. */
const BUILD_ENV = { CGO_ENABLED: '0' };
const versionFlags = (variable: string, value: string) => ['-ldflags', `-s -w -X ${variable}=${value}`];
const RUNTIME_FLAGS = [
  '-tags',
  'allcomponents',
  ...versionFlags(`${DAPR_MODULE}/pkg/buildinfo.version`, DAPR_RUNTIME_VERSION),
];
const CLI_FLAGS = versionFlags('main.version', DAPR_CLI_VERSION);

/**
 * Builds programs of Dapr with Go. Runtime and CLI share almost no code and are built at the same time, because a linker
 * mostly uses one processor.
 *
 * @param options.programs the path of each wanted program
 * @param options.types the components of daprd; undefined for all
 */
export async function buildDapr(options: {
  programs: ReadonlyMap<DaprProgram, string>;
  types: readonly string[] | undefined;
  logFile: string;
}): Promise<void> {
  const { programs, types, logFile } = options;
  const buildIfWanted = async (name: DaprProgram, build: (program: string) => Promise<void>) => {
    const program = programs.get(name);
    if (program) await build(program);
  };
  const common = { logFile, env: BUILD_ENV };
  const runtime = { ...common, module: 'runtime', flags: RUNTIME_FLAGS };
  const buildRuntime = async () => {
    await buildIfWanted('daprd', (program) =>
      types
        ? buildWithComponents({ program, types, logFile })
        : buildWithGo({ ...runtime, program, source: `${DAPR_MODULE}/cmd/daprd` }),
    );
    for (const name of ['scheduler', 'placement'] as const)
      await buildIfWanted(name, (program) =>
        buildWithGo({ ...runtime, program, source: `${DAPR_MODULE}/cmd/${name}` }),
      );
  };
  const buildCli = () =>
    buildIfWanted('dapr', (program) =>
      buildWithGo({ ...common, module: 'cli', flags: CLI_FLAGS, program, source: 'github.com/dapr/cli' }),
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
  await runProgram('go', ['mod', 'download', DAPR_MODULE], { logFile, cwd: toolchain });
  const source = readOutput('go', '-C', toolchain, 'list', '-m', '-f', '{{.Dir}}', DAPR_MODULE)?.trim();
  if (!source) throw new Error(`Go did not print the folder of ${DAPR_MODULE}; see ${logFile}`);
  await withScratchFolder(dirname(program), async (module) => {
    for (const name of ['go.mod', 'go.sum']) copyFileSync(join(toolchain, name), join(module, name));
    writeDaprdModule({ source, types, module: 'toolchain-runtime', into: module });
    await buildWithGo({ program, module, flags: RUNTIME_FLAGS, source: '.', logFile, env: BUILD_ENV });
  });
}
