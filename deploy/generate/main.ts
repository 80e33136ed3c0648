import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from './generated.ts';

/** `npm run generate`: writes what follows from the list of services. This file runs as dist/deploy/generate/main.js. */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const files = await generatedFiles(root);
for (const [file, text] of files) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}
console.log(`Generated: ${files.size} files.`);
