import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { anySeed, faultRun } from './fault-run.ts';
import { untilInterrupted } from './interrupted.ts';
import { prepare } from './prepare.ts';
import { profileOf } from './profiles.ts';

/** `npm run test:faults`: ten minutes of load and faults against a system of its own, then every promise is checked. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: anySeed() },
    minutes: { type: 'string', default: '10' },
    mischief: { type: 'boolean', default: false },
    profile: { type: 'string' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const { seed, minutes, profile, only, keep } = values;
const signal = untilInterrupted();
await prepare(tmpdir(), undefined, profile === undefined ? undefined : profileOf(profile));
const isGood = await faultRun({
  seed,
  seconds: 60 * Number(minutes),
  mode: values.mischief ? 'mischief' : 'faults',
  profile,
  only: only?.split(',').map((kind) => kind.trim()),
  keep,
  signal,
});
process.exitCode = isGood ? 0 : 1;
