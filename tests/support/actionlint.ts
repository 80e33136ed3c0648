import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithGo } from '../../deploy/local/programs/go-build.ts';
import { cacheDir, ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/**
 * The path of the installed `actionlint`. If there is none, Go builds one into the cache, once, in half a minute.
 *
 * @throws Error if there is neither actionlint nor Go, or the build fails
 */
export async function findOrBuildActionlint(): Promise<string> {
  if (readOutput('actionlint', '-version') !== undefined) return 'actionlint';
  const source = 'github.com/rhysd/actionlint';
  const versions = readFileSync(join(root, 'deploy/local/toolchain/actionlint/go.mod'), 'utf8');
  const version = new RegExp(`${source} v(\\S+)`).exec(versions)?.[1];
  if (version === undefined) throw new Error('toolchain/actionlint/go.mod has no version of actionlint.');
  const program = join(ensureFolder(cacheDir, `actionlint-${version}`), 'actionlint');
  if (existsSync(program)) return program;
  if (readOutput('go', 'version') === undefined) throw new Error('Install actionlint, or Go to build it.');
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'actionlint-build.log');
  const flags = ['-ldflags', '-s -w'];
  await buildWithGo({ program, module: 'actionlint', flags, source: `${source}/cmd/actionlint`, logFile });
  return program;
}
