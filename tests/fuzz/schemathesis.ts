import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, folder, root } from '../../deploy/local/machine/paths.ts';
import { output, run } from '../../deploy/local/machine/processes.ts';

const REQUIREMENTS = join(root, 'tests/fuzz/requirements.txt');

/**
 * The path of schemathesis, in a virtual environment of its own in the cache; made where it is missing.
 *
 * @throws Error where there is no Python to make it with
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
  if (output('python3', '--version') === undefined)
    throw new Error('Fuzzing needs Python 3.10 or newer with the venv module (https://www.python.org).');
  const logFile = join(folder(cacheDir, 'logs'), 'schemathesis-install.log');
  console.log(`Installing schemathesis (once), log: ${logFile}`);
  // What an interrupted installation left is no good.
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  await run('python3', ['-m', 'venv', home], { logFile });
  await run(join(home, 'bin', 'pip'), ['install', '--disable-pip-version-check', '-r', REQUIREMENTS], {
    logFile,
  });
  writeFileSync(complete, '');
  return program;
}
