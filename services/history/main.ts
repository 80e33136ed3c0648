import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'history', config, (deps) => createApp({ ...deps, now: () => new Date() }));
