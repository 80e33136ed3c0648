import { existsSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cacheDir, ensureFolder, root } from '../machine/paths.ts';
import { readOutput, runProgram } from '../machine/processes.ts';
import { withScratchFolder } from '../machine/scratch-folder.ts';

/** A server that is one Go program. */
export interface GoProgram {
  command: string;
  /** The arguments with which it prints its version. */
  versionArgs: readonly string[];
  /** The oldest version that an installed program may have. */
  oldestVersion: readonly [major: number, minor: number];
  /** Otherwise Go builds this package: a folder of toolchain/, the version in it, and the package. */
  module: string;
  version: string;
  source: string;
  /** The duration of the build, for example `a minute`, and the page with other ways to install the program. */
  buildTime: string;
  installUrl: string;
}

/** The installed program if it is new enough, else one that Go builds once into the cache. */
export async function findOrBuild(wanted: GoProgram, onProgress: (step: string) => void): Promise<string> {
  const { command, versionArgs, oldestVersion, module, version, source, buildTime, installUrl } = wanted;
  const printed = /v(\d+)\.(\d+)/.exec(readOutput(command, ...versionArgs) ?? '') ?? [];
  const [, major = 0, minor = 0] = printed.map(Number);
  if (major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1])) return command;
  const program = join(ensureFolder(cacheDir, `${module}-${version}`), command);
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined)
    throw new Error(
      `${command} ${oldestVersion.join('.')} or newer is missing, and so is Go to build it. Install one of them: ${installUrl}, https://go.dev.`,
    );
  const logFile = join(ensureFolder(cacheDir, 'logs'), `${module}-build.log`);
  onProgress(`building ${command} with Go (once; up to ${buildTime}), log: ${logFile}`);
  await buildWithGo({ program, module, flags: ['-ldflags', '-s -w'], source, logFile });
  return program;
}

/**
 * Builds a Go program with the versions of a module. An interrupted build can start again: the program gets its name when it
 * is complete, and Go keeps compiled packages.
 */
export async function buildWithGo(options: {
  program: string;
  /** The module with go.mod and go.sum: a folder of toolchain/, or a path. */
  module: string;
  flags: string[];
  source: string;
  logFile: string;
  env?: Record<string, string>;
}): Promise<void> {
  const { program, module, flags, source, logFile, env = {} } = options;
  await withScratchFolder(dirname(program), async (scratch) => {
    const file = join(scratch, 'program');
    await runProgram('go', ['build', ...flags, '-o', file, source], {
      logFile,
      cwd: moduleFolder(module),
      env,
    });
    renameSync(file, program);
  });
}

/** The folder of a module of toolchain/. An absolute path stays unchanged. */
export const moduleFolder = (module: string): string => resolve(root, 'deploy/local/toolchain', module);
