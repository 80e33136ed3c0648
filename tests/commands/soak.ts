import { tmpdir } from 'node:os';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { amount, argumentsOf } from '../../deploy/local/commands/arguments.ts';
import { anySeed, faultRun } from './fault-run.ts';
import { untilInterrupted } from '../../deploy/local/commands/interruptible.ts';
import { prepare } from '../../deploy/local/system/prepare.ts';
import { profileOf } from '../../deploy/local/profiles/index.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';

/** `npm run soak -- --hours 8`: one run after the other, each with a seed of its own, until a promise is broken. */
const { hours, seed, profile } = await orExit(process, () => {
  settings();
  const values = argumentsOf({
    hours: { type: 'string' },
    seed: { type: 'string' },
    profile: { type: 'string' },
  });
  return {
    hours: amount('--hours', values.hours ?? '1'),
    seed: values.seed ?? anySeed(),
    profile: profileOf(values.profile),
  };
});
const MINUTES = 20;
await prepare(tmpdir(), undefined, profile);
const until = performance.now() + hours * 3_600_000;
await untilInterrupted(async (signal) => {
  let isGood = true;
  for (let runs = 1; isGood && performance.now() < until; runs++)
    isGood = await faultRun({
      seed: `${seed}-${runs}`,
      seconds: 60 * MINUTES,
      // Every third one does mischief with messages as well.
      mode: runs % 3 === 0 ? 'mischief' : 'faults',
      profile: profile?.name,
      keep: false,
      signal,
    });
  process.exitCode = isGood ? 0 : 1;
});
