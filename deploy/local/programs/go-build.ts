import { existsSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cacheDir, folder, root } from '../machine/paths.ts';
import { output, run } from '../machine/processes.ts';
import { inScratch } from '../machine/scratch-folder.ts';

/** A server that is one Go program. */
export interface GoProgram {
  command: string;
  /** The arguments with which it prints its version. */
  versionArgs: readonly string[];
  /** The oldest one of the machine that will do. */
  oldest: readonly [major: number, minor: number];
  /** What is built else: a folder of toolchain/, the version that it names, and the package. */
  module: string;
  version: string;
  source: string;
  /** How long that takes, and where to get the program without it. */
  takes: string;
  site: string;
}

/** The program of the machine, where it is new enough, else one that is built with Go, once, into the cache. */
export async function findOrBuild(wanted: GoProgram, tell: (what: string) => void): Promise<string> {
  const { command, versionArgs, oldest, module, version, source, takes, site } = wanted;
  const printed = /v(\d+)\.(\d+)/.exec(output(command, ...versionArgs) ?? '') ?? [];
  const [, major = 0, minor = 0] = printed.map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return command;
  const program = join(folder(cacheDir, `${module}-${version}`), command);
  if (existsSync(program)) return program;
  if (output('go', 'version') === undefined)
    throw new Error(
      `${command} ${oldest.join('.')} or newer is missing, and so is Go to build it. Install one of them: ${site}, https://go.dev.`,
    );
  const logFile = join(folder(cacheDir, 'logs'), `${module}-build.log`);
  tell(`building ${command} with Go (once; up to ${takes}), log: ${logFile}`);
  await buildWithGo({ program, module, flags: ['-ldflags', '-s -w'], source, logFile });
  return program;
}

/**
 * Builds a Go program with the versions of a module. What is interrupted starts again cleanly: a program gets its name when it
 * is complete, and Go keeps what it has compiled.
 */
export async function buildWithGo(options: {
  program: string;
  /** Whose go.mod and go.sum hold the versions: a folder of toolchain/, or a path. */
  module: string;
  flags: string[];
  source: string;
  logFile: string;
  env?: Record<string, string>;
}): Promise<void> {
  const { program, module, flags, source, logFile, env = {} } = options;
  await inScratch(dirname(program), async (scratch) => {
    const file = join(scratch, 'program');
    await run('go', ['build', ...flags, '-o', file, source], { logFile, cwd: moduleFolder(module), env });
    renameSync(file, program);
  });
}

/** The folder of a module of toolchain/; a path stays one. */
export const moduleFolder = (module: string): string => resolve(root, 'deploy/local/toolchain', module);
