import { z } from 'zod';
import { cacheDir } from './paths.ts';

const fromSystem = z.object({ code: z.string(), path: z.string().optional() });

/** An error as one may read it: where the system refused something, what to do about it. */
export function explained(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const refusal = fromSystem.safeParse(error).data;
  if (!refusal) return message;
  const { code, path = 'a file' } = refusal;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `The disk is full: ${path} cannot be written. Free some space there, and start again.`;
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
    case 'ENOTDIR':
      return path.startsWith(cacheDir)
        ? `The cache cannot be written: ${path} (${code}). Name a folder that can be: SIDECART_CACHE=./cache npm start`
        : `${path} cannot be used (${code}). This user must be able to write there.`;
    default:
      return message;
  }
}
