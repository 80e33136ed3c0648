import { ensureFolder, restrictFileAccess, root } from '../machine/paths.ts';
import { explainError } from './error-message.ts';

/** Creates the folders of a system. Each offset and each profile has its own. @throws Error that states what to do */
export function createDataFolders(offset: number, profile: string | undefined) {
  try {
    restrictFileAccess();
    const own = offset === 0 ? '.sidecart' : `.sidecart/offset-${offset}`;
    const dataDir = ensureFolder(root, own, ...(profile ? [profile] : []));
    ensureFolder(dataDir, 'state');
    return { dataDir, logDir: ensureFolder(dataDir, 'logs') };
  } catch (error) {
    throw new Error(explainError(error), { cause: error });
  }
}
