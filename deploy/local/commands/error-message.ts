import { z } from 'zod';
import { cacheDir } from '../machine/paths.ts';

const systemErrorSchema = z.object({ code: z.string(), path: z.string().optional() });

const CACHE_NOT_WRITABLE = `The cache folder is not writable: ${cacheDir}. Use another folder: SIDECART_CACHE_DIR=./cache npm start`;

/** The message of an error. For errors of the file system, it states what to do. */
export function explainError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const systemError = systemErrorSchema.safeParse(error).data;
  if (!systemError) return message;
  const { code, path = 'a file' } = systemError;
  const isInCache = path.startsWith(cacheDir);
  // Node.js also reports this code for a folder in a read-only one.
  if (isInCache && code === 'ENOENT') return CACHE_NOT_WRITABLE;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `The disk is full: ${path} cannot be written. Free some space and start again.`;
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
    case 'ENOTDIR':
      return isInCache
        ? CACHE_NOT_WRITABLE
        : `${path} is not writable (${code}). Give this user write access.`;
    default:
      return message;
  }
}
