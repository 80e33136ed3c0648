import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../../deploy/local/machine/paths.ts';

/** The projects of tests/vitest.config.ts. */
export type Project = 'component' | 'contract' | 'deploy' | 'system' | 'twins' | 'compose' | 'faults';

/** Runs the tests of these projects, or of those in the arguments, which go to vitest. This process exits with vitest. */
export function runTests(projects: readonly Project[], args: readonly string[] = []): void {
  const selected = args.some((arg) => /^--project(=|$)/.test(arg)) ? [] : projects;
  const vitest = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--config=tests/vitest.config.ts',
      ...selected.map((project) => `--project=${project}`),
      ...args,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));
  vitest.on('exit', (code) => process.exit(code ?? 1));
}
