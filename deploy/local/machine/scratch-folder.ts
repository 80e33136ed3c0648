import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Does something with a folder of its own beside what it makes, which is gone afterwards, also where this program is ended. */
export async function inScratch<T>(directory: string, use: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(directory, 'build-'));
  const discard = () => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', discard);
  try {
    return await use(scratch);
  } finally {
    process.off('exit', discard);
    discard();
  }
}
