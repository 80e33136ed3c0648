import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { ALL_TWINS } from '../deploy/local/programs/twins.ts';
import { keepLoopbackFromProxies } from '../deploy/local/loopback.mjs';

// For the processes in which the tests run, also where vitest is called by itself.
keepLoopbackFromProxies();

/** Many small files, which start no system. */
const quick = {
  sequence: { groupOrder: 0 },
  // They wait more than they work.
  maxWorkers: 3 * availableParallelism(),
  // One process for many files: to load all modules again for each took a third of the processor time.
  isolate: false,
  // A deadline of five seconds is for a machine that does nothing else.
  testTimeout: 30_000,
};

/** `npm test` runs the first five; why there are more: services/decisions/0111-time-of-the-tests.md. */
export default defineConfig({
  test: {
    projects: [
      {
        test: { ...quick, name: 'component', include: ['tests/component/**/*.test.ts'] },
      },
      {
        test: { ...quick, name: 'deploy', include: ['tests/deploy/**/*.test.ts'] },
      },
      {
        // Each file starts processes of the services: services/CONTRACT.md.
        test: {
          name: 'contract',
          include: ['tests/contract/**/*.test.ts'],
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 90_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['tests/system/**/*.test.ts'],
          sequence: { groupOrder: 1 },
          // Each file has a system of its own, on ports of its own. A third one would only take processors from the others.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Systems with services in other languages: with all twins, or with those of `npm test -- --with`, which has time for more files.
        test: {
          name: 'twins',
          include: [
            'tests/polyglot/*.test.ts',
            process.env['TWINS'] ? 'tests/system/{flows,returns}.test.ts' : 'tests/system/flows.test.ts',
          ],
          env: { TWINS: process.env['TWINS'] ?? ALL_TWINS },
          // After `system`, which has the same files on the same ports.
          sequence: { groupOrder: 2 },
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'compose',
          include: ['tests/compose/**/*.test.ts'],
          sequence: { groupOrder: 3 },
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          sequence: { groupOrder: 4 },
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
