import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { baseConfig } from '../shared/runtime/config.ts';

await runService(process, 'history', baseConfig, (deps) => createApp({ ...deps, now: () => new Date() }));
