import { runService } from '../shared/run-service.ts';
import { createApp } from './app.ts';
import { readCatalogue } from './catalogue.ts';
import { config } from './config.ts';

await runService(process, 'inventory', config, async (deps, { SEED_FILE }) =>
  createApp({ ...deps, catalogue: await readCatalogue(SEED_FILE) }),
);
