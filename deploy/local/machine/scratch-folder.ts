import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Runs `use` with a new folder in `directory`. The folder is deleted afterwards, also if this program exits meanwhile. */
export async function withScratchFolder<T>(
  directory: string,
  use: (scratch: string) => Promise<T>,
): Promise<T> {
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
