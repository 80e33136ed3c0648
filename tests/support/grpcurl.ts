import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, ensureFolder } from '../../deploy/local/machine/paths.ts';
import { readOutput, runProgram } from '../../deploy/local/machine/processes.ts';

const VERSION = '1.9.3';

/**
 * The path of the installed grpcurl (https://github.com/fullstorydev/grpcurl). If there is none, Go builds one into the
 * cache, once.
 *
 * @throws Error if there is neither grpcurl nor Go, or the build fails
 */
export async function findOrBuildGrpcurl(): Promise<string> {
  if (readOutput('grpcurl', '-version') !== undefined) return 'grpcurl';
  const home = ensureFolder(cacheDir, `grpcurl-${VERSION}`);
  const program = join(home, 'grpcurl');
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined) throw new Error('Install grpcurl, or Go to build it.');
  // The rename publishes a complete program. A concurrent build produces the same one.
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
