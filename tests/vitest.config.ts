import { defineConfig } from 'vitest/config';
import { keepLoopbackFromProxies } from '../deploy/local/loopback.mjs';

// For the processes in which the tests run, also where vitest is called by itself.
keepLoopbackFromProxies();

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'component', include: ['tests/component/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      {
        test: {
          name: 'system',
          sequence: { groupOrder: 1 },
          include: ['tests/system/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'faults',
          sequence: { groupOrder: 2 },
          include: ['tests/faults/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
