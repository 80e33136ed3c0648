import { runService } from '../shared/run-service.ts';
import { orStop } from '../shared/run.ts';
import { createApp } from './app.ts';
import { readCatalogue } from './catalogue.ts';
import { config } from './config.ts';

await runService(process, 'inventory', config, async (deps, { SEED_FILE }) =>
  createApp({ ...deps, catalogue: await orStop(process, () => readCatalogue(SEED_FILE)) }),
);
