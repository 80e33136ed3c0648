import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isGood, readable } from './report.ts';
import { run } from './run.ts';

it('When a system under load is hit by faults of every kind, then every promise holds', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'sidecart-faults-'));
  const lines: string[] = [];
  try {
    const report = await run({
      seed: '2026',
      seconds: 180,
      mode: 'faults',
      // Less load than the ten minutes have: a slow machine must not make it fail.
      restMs: 30_000,
      portOffset: 9_000,
      scratch,
      signal: new AbortController().signal,
      tell: (line) => lines.push(line),
    });
    if (!isGood(report)) throw new Error(`${readable(report)}\n\n${lines.join('\n')}`);
    expect(report.faults.length).toBeGreaterThan(0);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
