import { readComponents } from '../../configuration/component-files.ts';
import { findOrBuild } from '../../programs/go-build.ts';
import { NATS_SERVER, startNats } from './nats.ts';
import { componentIn, layOver } from './components.ts';
import { makeStreams } from './streams.ts';
import { findPostgres, startPostgres } from './postgres.ts';
import type { Profile } from '../profile.ts';

const BROKER = 'NATS JetStream';
const DATABASE_SERVER = 'PostgreSQL';

/** NATS JetStream as broker and PostgreSQL as store: profiles/nats-postgres, and what it needs around it. */
export const natsPostgres: Profile = {
  name: 'nats-postgres',
  broker: BROKER,
  databaseServer: DATABASE_SERVER,
  layOver,
  replacements: (ports) => [
    // There is no Redis: each gateway counts its callers alone.
    ['redis://localhost:6379', ''],
    ['localhost:4222', `localhost:${ports.nats}`],
    ['port=5432', `port=${ports.postgres}`],
  ],
  programs: [
    { title: 'NATS server', find: (tell) => findOrBuild(NATS_SERVER, tell) },
    { title: DATABASE_SERVER, find: () => Promise.resolve(findPostgres()) },
  ],
  parts: ({ ports, dataDir, logDir }) => [
    {
      title: BROKER,
      found: () => Promise.resolve(undefined),
      async start() {
        const program = await findOrBuild(NATS_SERVER, () => {});
        const running = await startNats({ program, port: ports.nats, dataDir, logDir });
        await makeStreams(ports.nats);
        return running;
      },
    },
    {
      title: DATABASE_SERVER,
      found: () => Promise.resolve(undefined),
      start: () => {
        const names = componentIn(readComponents(), 'state.yaml').scopes;
        return startPostgres({ programs: findPostgres(), names, port: ports.postgres, dataDir, logDir });
      },
    },
  ],
};
