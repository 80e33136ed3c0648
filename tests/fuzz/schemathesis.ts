import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readOutput, runProgram } from '../../deploy/local/machine/processes.ts';

const REQUIREMENTS = join(root, 'tests/fuzz/requirements.txt');

/**
 * The path of schemathesis. A virtual environment in the cache contains it, and is created if it is missing.
 *
 * @throws Error if Python is missing
 */
export async function findOrInstallSchemathesis(): Promise<string> {
  const requirements = readFileSync(REQUIREMENTS);
  const home = join(
    cacheDir,
    `schemathesis-${createHash('sha256').update(requirements).digest('hex').slice(0, 12)}`,
  );
  const program = join(home, 'bin', 'schemathesis');
  const complete = join(home, '.complete');
  if (existsSync(complete)) return program;
  if (readOutput('python3', '--version') === undefined)
    throw new Error('Fuzzing needs Python 3.10 or newer with the venv module (https://www.python.org).');
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'schemathesis-install.log');
  console.log(`Installing schemathesis (once), log: ${logFile}`);
  // An interrupted installation may be incomplete.
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  await runProgram('python3', ['-m', 'venv', home], { logFile });
  await runProgram(join(home, 'bin', 'pip'), ['install', '--disable-pip-version-check', '-r', REQUIREMENTS], {
    logFile,
  });
  writeFileSync(complete, '');
  return program;
}
