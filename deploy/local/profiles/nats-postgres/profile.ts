import { readComponents } from '../../configuration/component-files.ts';
import { findOrBuild } from '../../programs/go-build.ts';
import type { Profile } from '../profile.ts';
import { parseComponent, applyOverlay } from './components.ts';
import { NATS_PROGRAM, startNats } from './nats.ts';
import { findPostgres, SETTINGS_DATABASE, startPostgres } from './postgres.ts';
import { createStreams } from './streams.ts';

const BROKER = 'NATS JetStream';
const DATABASE_SERVER = 'PostgreSQL';

/** NATS JetStream as broker and PostgreSQL as store. */
export const natsPostgres: Profile = {
  name: 'nats-postgres',
  broker: BROKER,
  databaseServer: DATABASE_SERVER,
  applyOverlay,
  replacements: (ports) => [
    // Without Redis, each gateway counts its callers alone.
    ['redis://localhost:6379', ''],
    ['localhost:4222', `localhost:${ports.nats}`],
    ['port=5432', `port=${ports.postgres}`],
  ],
  programs: [
    { title: 'NATS server', find: (onProgress) => findOrBuild(NATS_PROGRAM, onProgress) },
    { title: DATABASE_SERVER, find: () => Promise.resolve(findPostgres()) },
  ],
  infrastructure: ({ ports, dataDir, logDir }) => [
    {
      title: BROKER,
      findRunning: () => Promise.resolve(undefined),
      async start() {
        const program = await findOrBuild(NATS_PROGRAM, () => {});
        const running = await startNats({ program, port: ports.nats, dataDir, logDir });
        await createStreams(ports.nats);
        return running;
      },
    },
    {
      title: DATABASE_SERVER,
      findRunning: () => Promise.resolve(undefined),
      start: () => {
        const services = parseComponent(readComponents(), 'state.yaml').scopes;
        const names = [...services, SETTINGS_DATABASE];
        return startPostgres({ programs: findPostgres(), names, port: ports.postgres, dataDir, logDir });
      },
    },
  ],
};
