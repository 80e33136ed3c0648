import { runService } from '../shared/runtime/run-service.ts';
import { orExit } from '../shared/runtime/shutdown.ts';
import { createApp } from './app.ts';
import { readCatalogue } from './catalogue.ts';
import { config } from './config.ts';

await runService(process, 'inventory', config, async (deps, { SEED_FILE }) =>
  createApp({ ...deps, catalogue: await orExit(process, () => readCatalogue(SEED_FILE)) }),
);
