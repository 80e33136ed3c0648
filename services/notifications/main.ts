import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'notifications', config, (deps, { EMAIL_BINDINGS: bindings }) =>
  createApp({ ...deps, bindings }),
);
