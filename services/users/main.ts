import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';
import { createPasswords } from './passwords.ts';

await runService(process, 'users', config, (deps, { lifetimes, admin }) =>
  createApp({
    ...deps,
    ...lifetimes,
    admin,
    passwords: createPasswords(),
    now: () => new Date(),
    clock: () => performance.now(),
  }),
);
