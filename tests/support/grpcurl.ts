import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, ensureFolder } from '../../deploy/local/machine/paths.ts';
import { readOutput, runProgram } from '../../deploy/local/machine/processes.ts';

const VERSION = '1.9.3';

/**
 * The path of grpcurl (https://github.com/fullstorydev/grpcurl): the installed one, else one that is built with Go, once,
 * into the cache.
 *
 * @throws Error where there is neither it nor Go, or the build fails
 */
export async function findOrBuildGrpcurl(): Promise<string> {
  if (readOutput('grpcurl', '-version') !== undefined) return 'grpcurl';
  const home = ensureFolder(cacheDir, `grpcurl-${VERSION}`);
  const program = join(home, 'grpcurl');
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined)
    throw new Error('Neither grpcurl nor Go, with which it can be built, is on this machine.');
  // Complete when it gets its name; whoever builds at the same time makes the same.
  const scratch = mkdtempSync(join(home, 'build-'));
  try {
    await runProgram('go', ['install', `github.com/fullstorydev/grpcurl/cmd/grpcurl@v${VERSION}`], {
      logFile: join(ensureFolder(cacheDir, 'logs'), 'grpcurl-build.log'),
      env: { GOBIN: scratch },
    });
    renameSync(join(scratch, 'grpcurl'), program);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return program;
}
