import { explained } from './error-message.ts';
import { folder, keepPrivate, root } from '../machine/paths.ts';

/** Where a system keeps what it has; one at other ports or with a profile has folders of its own. @throws Error that says what to do */
export function dataFolders(offset: number, profile: string | undefined) {
  try {
    keepPrivate();
    const own = offset === 0 ? '.sidecart' : `.sidecart/offset-${offset}`;
    const dataDir = folder(root, own, ...(profile ? [profile] : []));
    folder(dataDir, 'state');
    return { dataDir, logDir: folder(dataDir, 'logs') };
  } catch (error) {
    throw new Error(explained(error), { cause: error });
  }
}
