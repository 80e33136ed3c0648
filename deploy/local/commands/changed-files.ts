import { dirname, join, normalize, sep } from 'node:path';
import { readTextOrEmpty } from '../machine/paths.ts';

/** The effects of changed files. */
export interface ChangeEffects {
  /** Services that run the changed code. */
  restart: string[];
  /** Files that only a new `npm run dev` reads. */
  needsNewStart: string[];
}

/** Files that the system reads only at its start. */
const READ_AT_START = /^(components\/|dapr\.yaml$|deploy\/local\/|package(-lock)?\.json$)/;

/**
 * A service runs all files that its main.ts imports, directly or not: its own, shared ones and contracts of other services. A
 * file without code belongs to the service of its folder.
 *
 * @param changed files, relative to `root`, with slashes
 */
export function effectsOfChanges(
  root: string,
  changed: readonly string[],
  services: readonly string[],
): ChangeEffects {
  const isRunBy = (service: string, file: string, imported: ReadonlySet<string>) =>
    file.endsWith('.ts')
      ? imported.has(file)
      : !file.endsWith('.md') && ['shared', service].includes(file.split('/')[1] ?? '');
  const restart = services.filter((service) => {
    const imported = collectImports(root, `services/${service}/main.ts`);
    return changed.some((file) => file.startsWith('services/') && isRunBy(service, file, imported));
  });
  return { restart, needsNewStart: changed.filter((file) => READ_AT_START.test(file)) };
}

/** The file and all files that it imports, directly or not. A missing file imports nothing. */
function collectImports(root: string, file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, target = ''] of readTextOrEmpty(join(root, file)).matchAll(
    /(?:from|import|import\()\s*'(\.[^']+)'/g,
  ))
    collectImports(root, normalize(join(dirname(file), target)).replaceAll(sep, '/'), found);
  return found;
}
