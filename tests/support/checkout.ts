import { cpSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { root } from '../../deploy/local/machine/paths.ts';

/** Not copied: packages, history, and what a running system writes. */
const LEFT_OUT = new Set(['node_modules', '.git', '.sidecart', '.dapr']);

/**
 * Copies this checkout with its compiled code, for a test whose commands change it. The packages are linked.
 *
 * @param purpose a part of the folder's name
 * @returns the folder, which the caller deletes
 */
export function copyCheckout(purpose: string): string {
  const checkout = realpathSync(mkdtempSync(join(tmpdir(), `sidecart-${purpose}-`)));
  cpSync(root, checkout, {
    recursive: true,
    preserveTimestamps: true,
    filter: (source) => join(root, basename(source)) !== source || !LEFT_OUT.has(basename(source)),
  });
  symlinkSync(realpathSync(join(root, 'node_modules')), join(checkout, 'node_modules'));
  return checkout;
}
