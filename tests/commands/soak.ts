import { tmpdir } from 'node:os';
import { parsePositiveNumber, parseArguments } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { randomSeed, runAndReport } from './fault-run.ts';

/** `npm run soak -- --hours 8`: one run after another, each with its own seed, until a promise is broken. */
const { hours, seed, profile } = await orExit(process, () => {
  readSettings();
  const values = parseArguments({
    hours: { type: 'string' },
    seed: { type: 'string' },
    profile: { type: 'string' },
  });
  return {
    hours: parsePositiveNumber('--hours', values.hours ?? '1'),
    seed: values.seed ?? randomSeed(),
    profile: findProfile(values.profile),
  };
});
const RUN_MINUTES = 20;
await preparePrograms(tmpdir(), undefined, { profile });
const endsAt = performance.now() + hours * 3_600_000;
await runInterruptibly(async (signal) => {
  let isGood = true;
  for (let runs = 1; isGood && performance.now() < endsAt; runs++)
    isGood = await runAndReport({
      seed: `${seed}-${runs}`,
      seconds: 60 * RUN_MINUTES,
      // Every third run also duplicates and delays messages.
      mode: runs % 3 === 0 ? 'chaos' : 'faults',
      profile: profile?.name,
      keep: false,
      signal,
    });
  process.exitCode = isGood ? 0 : 1;
});
