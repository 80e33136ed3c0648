import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './paths.ts';
import { run } from './processes.ts';

/**
 * Builds a Go program with the versions of a folder of toolchain/. What is interrupted starts again cleanly: a program
 * gets its name when it is complete, and Go keeps what it has compiled.
 */
export async function buildWithGo(options: {
  program: string;
  /** The folder of toolchain/ whose go.mod and go.sum hold the versions. */
  module: string;
  flags: string[];
  source: string;
  logFile: string;
}): Promise<void> {
  const { program, module, flags, source, logFile } = options;
  const scratch = mkdtempSync(join(dirname(program), 'build-'));
  const discard = () => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', discard);
  try {
    const file = join(scratch, 'program');
    await run('go', ['build', ...flags, '-o', file, source], {
      logFile,
      cwd: join(root, 'deploy/local/toolchain', module),
    });
    renameSync(file, program);
  } finally {
    process.off('exit', discard);
    discard();
  }
}
