import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { MODES, type Mode } from '../../tests/faults/run.ts';
import { anySeed, faultRun } from './fault-run.ts';
import { untilInterrupted } from './interrupted.ts';
import { prepare } from './prepare.ts';
import { profileOf } from './profiles.ts';

/**
 * `npm run test:faults -- [mode]`: ten minutes of load and faults against a system of its own, or what else the mode says;
 * then every promise is checked.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: anySeed() },
    minutes: { type: 'string' },
    profile: { type: 'string' },
    only: { type: 'string' },
    rest: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const { seed, profile, only, rest, keep } = values;
const mode = modeOf(positionals[0] ?? 'faults');
const minutes = Number(values.minutes ?? (mode === 'overload' ? 2 : 10));
await prepare(tmpdir(), undefined, profileOf(profile));
await untilInterrupted(async (signal) => {
  const isGood = await faultRun({
    seed,
    seconds: 60 * minutes,
    mode,
    profile,
    only: only?.split(',').map((kind) => kind.trim()),
    restMs: rest === undefined ? undefined : 1000 * Number(rest),
    keep,
    signal,
  });
  process.exitCode = isGood ? 0 : 1;
});

function modeOf(name: string): Mode {
  const found = MODES.find((one) => one === name);
  if (!found) throw new Error(`there is no mode "${name}", but ${MODES.join(', ')}`);
  return found;
}
