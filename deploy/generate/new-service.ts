import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICES } from '../../services/services.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { replace } from './edit.ts';
import { formatted } from './generated.ts';
import { serviceFiles } from './service-files.ts';

/**
 * `npm run new-service -- <name>`: creates a small service that works, adds it to services/services.ts, and generates the rest.
 * This file runs as dist/deploy/generate/new-service.js.
 */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const LIST = 'services/services.ts';

/** Dapr accepts more app ids. These are also names of folders, hosts and databases. */
const NAME = /^[a-z][a-z0-9]{1,19}$/;
/** dapr.yaml has ten ports of each kind per replica. */
const MAX_SERVICES = 10;

const name = await orExit(process, () => checkedName(process.argv[2]));
const files = serviceFiles(name);
for (const [file, text] of files) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), await formatted(join(root, file), text));
}
writeFileSync(join(root, LIST), listed(readFileSync(join(root, LIST), 'utf8')));
execFileSync('npm', ['run', '--silent', 'generate'], { cwd: root, stdio: 'inherit' });
console.log(`Created: ${[...files.keys()].join(', ')}, and an entry in ${LIST}.`);

function checkedName(given = ''): string {
  if (!NAME.test(given))
    throw new Error(
      'Usage: npm run new-service -- <name>. A name has 2 to 20 small letters and digits, and begins with a letter.',
    );
  if (existsSync(join(root, 'services', given))) throw new Error(`services/${given} already exists.`);
  if (SERVICES.length >= MAX_SERVICES)
    throw new Error(`There are ${MAX_SERVICES} services already, and ports in dapr.yaml for no more.`);
  return given;
}

function listed(text: string): string {
  const imported = replace(
    text,
    /(?=import type \{ ServiceDescription \})/,
    `import { ${name} } from './${name}/api.ts';\n`,
  );
  return replace(imported, /\n\] as const/, `\n  ${name},\n] as const`);
}
