import { z } from 'zod';
import { cacheDir } from '../machine/paths.ts';

const fromSystem = z.object({ code: z.string(), path: z.string().optional() });

const CACHE = `The cache folder is not writable: ${cacheDir}. Use another folder: SIDECART_CACHE=./cache npm start`;

/** An error as one may read it: where the system refused something, what to do about it. */
export function explained(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const refusal = fromSystem.safeParse(error).data;
  if (!refusal) return message;
  const { code, path = 'a file' } = refusal;
  const isInCache = path.startsWith(cacheDir);
  // Node.js says so, too, of folders in one that is read-only.
  if (isInCache && code === 'ENOENT') return CACHE;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `The disk is full: ${path} cannot be written. Free some space and start again.`;
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
    case 'ENOTDIR':
      return isInCache ? CACHE : `${path} is not writable (${code}). Give this user write access.`;
    default:
      return message;
  }
}
