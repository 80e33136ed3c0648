import { join } from 'node:path';
import { ensureFolder, restrictFileAccess, root } from '../machine/paths.ts';
import { explainError } from './error-message.ts';

/** The folder with the data of a system. Each offset and each profile has its own. */
export function dataFolder(offset: number, profile: string | undefined): string {
  return join(root, offset === 0 ? '.sidecart' : `.sidecart/offset-${offset}`, profile ?? '');
}

/** Creates the folders of a system. @throws Error that states what to do */
export function createDataFolders(offset: number, profile: string | undefined) {
  try {
    restrictFileAccess();
    const dataDir = ensureFolder(dataFolder(offset, profile));
    ensureFolder(dataDir, 'state');
    return { dataDir, logDir: ensureFolder(dataDir, 'logs') };
  } catch (error) {
    throw new Error(explainError(error), { cause: error });
  }
}
