import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithGo } from '../../deploy/local/programs/go-build.ts';
import { cacheDir, ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/**
 * The `actionlint` of the machine, else one that is built with Go, once, into the cache: half a minute.
 *
 * @throws Error where there is neither it nor Go, or the build fails
 */
export async function findOrBuildActionlint(): Promise<string> {
  if (readOutput('actionlint', '-version') !== undefined) return 'actionlint';
  const source = 'github.com/rhysd/actionlint';
  const versions = readFileSync(join(root, 'deploy/local/toolchain/actionlint/go.mod'), 'utf8');
  const version = new RegExp(`${source} v(\\S+)`).exec(versions)?.[1];
  if (version === undefined) throw new Error('toolchain/actionlint/go.mod names no version of actionlint.');
  const program = join(ensureFolder(cacheDir, `actionlint-${version}`), 'actionlint');
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined)
    throw new Error('Neither actionlint nor Go, with which it can be built, is on this machine.');
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'actionlint-build.log');
  const flags = ['-ldflags', '-s -w'];
  await buildWithGo({ program, module: 'actionlint', flags, source: `${source}/cmd/actionlint`, logFile });
  return program;
}
