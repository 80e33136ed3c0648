import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { anySeed, faultRun } from './fault-run.ts';
import { untilInterrupted } from './interrupted.ts';
import { prepare } from './prepare.ts';
import { profileOf } from './profiles.ts';

/** `npm run soak -- --hours 8`: one run after the other, each with a seed of its own, until a promise is broken. */
const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '1' },
    seed: { type: 'string', default: anySeed() },
    profile: { type: 'string' },
  },
});
const MINUTES = 20;
const { profile } = values;
await prepare(tmpdir(), undefined, profileOf(profile));
const until = Date.now() + Number(values.hours) * 3_600_000;
await untilInterrupted(async (signal) => {
  let isGood = true;
  for (let runs = 1; isGood && Date.now() < until; runs++)
    isGood = await faultRun({
      seed: `${values.seed}-${runs}`,
      seconds: 60 * MINUTES,
      // Every third one does mischief with messages as well.
      mode: runs % 3 === 0 ? 'mischief' : 'faults',
      profile,
      keep: false,
      signal,
    });
  process.exitCode = isGood ? 0 : 1;
});
