import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { appsWithState, applyOverlay } from './components.ts';
import { databaseFor, newSecrets } from './secrets.ts';

/**
 * Puts into the volumes what the other containers find there, and ends. It runs on plain Node.js, without packages, before everything
 * else, and again whenever Compose likes, also beside containers that read. compose.yaml says where each volume is. Secrets that are
 * there stay.
 */

/** The user of services, sidecars and scheduler. */
const USER = 65532;
/** The user of PostgreSQL in its image. */
const POSTGRES = 999;

const COMPONENTS = '/components';
const VOLUMES = '/volumes';

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(yaml|json)$/.test(name));
const read = (file: string) => readFileSync(file, 'utf8');

/** Whoever reads sees all of the old text or all of the new one. */
function write(file: string, text: string, owner: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const part = `${file}.part`;
  rmSync(part, { force: true });
  writeFileSync(part, text, { mode: 0o400 });
  chownSync(part, owner, owner);
  renameSync(part, file);
}

const committed = new Map(filesIn(COMPONENTS).map((name) => [name, read(join(COMPONENTS, name))]));
const stores = new Map(['state.yaml', 'workflows.yaml'].map((name) => [name, read(`/${name}`)]));
const components = applyOverlay(committed, stores);
const rendered = join(VOLUMES, 'components');
for (const [name, text] of components) write(join(rendered, name), text, USER);
for (const name of filesIn(rendered)) if (!components.has(name)) rmSync(join(rendered, name));

const withState = new Set(appsWithState(committed));
const databases = readdirSync(join(VOLUMES, 'secrets')).flatMap((app) => {
  const folder = join(VOLUMES, 'secrets', app);
  const sidecar = join(folder, 'sidecar.env');
  // Written last: where it is, the other one is, too.
  if (!existsSync(sidecar)) {
    const made = newSecrets(app, withState.has(app));
    write(join(folder, 'service.env'), made.service, USER);
    write(sidecar, made.sidecar, USER);
  }
  return withState.has(app) ? [databaseFor(app, read(sidecar))] : [];
});
write(join(VOLUMES, 'postgres-init', 'databases.sql'), databases.join('\n'), POSTGRES);

for (const name of ['names', 'scheduler']) chownSync(join(VOLUMES, name), USER, USER);
chownSync(join(VOLUMES, 'postgres-socket'), POSTGRES, POSTGRES);
