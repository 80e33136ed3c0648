import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isGood, formatReport } from './report.ts';
import { run } from './run.ts';
import { requestedTwins } from '../support/twins.ts';

it('When faults of every type affect a system under load, then every promise holds', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'sidecart-faults-'));
  const lines: string[] = [];
  try {
    const report = await run({
      seed: '2026',
      seconds: 180,
      mode: 'faults',
      twins: requestedTwins(),
      // Less load than in the ten-minute run, so that a slow machine does not make it fail.
      thinkTimeMs: 30_000,
      portOffset: 9_000,
      scratch,
      signal: new AbortController().signal,
      print: (line) => lines.push(line),
    });
    if (!isGood(report)) throw new Error(`${formatReport(report)}\n\n${lines.join('\n')}`);
    expect(report.faults.length).toBeGreaterThan(0);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
