import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../local/paths.ts';
import { accessFiles } from './manifests.ts';

/** `npm run manifests`: writes base/access anew. */
const folder = join(root, 'deploy/kubernetes/base/access');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [name, text] of accessFiles()) writeFileSync(join(folder, name), text);
console.log(`Written: ${accessFiles().size} files in deploy/kubernetes/base/access.`);
