import { dirname, join, normalize, sep } from 'node:path';
import { textOf } from '../machine/paths.ts';

/** What a change of files under the root asks for. */
export interface Consequence {
  /** Services that run this code. */
  restart: string[];
  /** Files that only a new `npm run dev` reads. */
  needsNewStart: string[];
}

/** What is read once, when everything starts. */
const READ_AT_START = /^(components\/|dapr\.yaml$|deploy\/local\/|package(-lock)?\.json$)/;

/**
 * A service runs what its main.ts imports, directly or not: its own code, that of shared, and contracts of others. A file that
 * is no code belongs to its folder.
 *
 * @param changed files, relative to `root`, with slashes
 */
export function consequenceOf(
  root: string,
  changed: readonly string[],
  services: readonly string[],
): Consequence {
  const isRunBy = (service: string, file: string, imported: ReadonlySet<string>) =>
    file.endsWith('.ts')
      ? imported.has(file)
      : !file.endsWith('.md') && ['shared', service].includes(file.split('/')[1] ?? '');
  const restart = services.filter((service) => {
    const imported = importsOf(root, `services/${service}/main.ts`);
    return changed.some((file) => file.startsWith('services/') && isRunBy(service, file, imported));
  });
  return { restart, needsNewStart: changed.filter((file) => READ_AT_START.test(file)) };
}

/** All files that this one imports, and itself. One that is not there imports nothing. */
function importsOf(root: string, file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, target = ''] of textOf(join(root, file)).matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g))
    importsOf(root, normalize(join(dirname(file), target)).replaceAll(sep, '/'), found);
  return found;
}
