import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { parsePositiveNumber } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { parseTwins } from '../../deploy/local/programs/twins.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { MODES, type Mode } from '../faults/run.ts';
import { passTwinsToTests } from '../support/twins.ts';
import { randomSeed, runAndReport } from './fault-run.ts';
import { runTests } from './run-vitest.ts';

/**
 * `npm run test:faults -- [mode]`: runs ten minutes of load and faults, or another mode, against a separate system. Then every
 * promise is checked. `-- --short` runs the tests of tests/faults instead: three minutes of faults, and the mutations.
 */
const { isShort, mode, minutes, thinkTimeMs, profile, twins, options } = await orExit(process, asked);
const { seed = randomSeed(), only, keep = false } = options;
await preparePrograms(tmpdir(), undefined, { profile, twins });
if (isShort) {
  passTwinsToTests(options.with);
  // It prints why a mutation is skipped.
  runTests(['faults'], ['--reporter=verbose']);
} else
  await runInterruptibly(async (signal) => {
    const isGood = await runAndReport({
      seed,
      seconds: 60 * minutes,
      mode,
      profile: profile?.name,
      twins,
      only: only?.split(',').map((kind) => kind.trim()),
      thinkTimeMs,
      keep,
      signal,
    });
    process.exitCode = isGood ? 0 : 1;
  });

/** Reads the arguments and settings. @throws Error if one of them is wrong */
function asked() {
  readSettings();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      profile: { type: 'string' },
      with: { type: 'string' },
      only: { type: 'string' },
      'think-time': { type: 'string' },
      keep: { type: 'boolean' },
      short: { type: 'boolean' },
    },
  });
  const { short = false, with: languages, ...others } = values;
  if (short && positionals.length + Object.keys(others).length > 0)
    throw new Error('--short can be combined with --with only');
  const [name = 'faults', ...more] = positionals;
  if (more.length > 0) throw new Error(`only one mode can run at a time; remove ${more.join(', ')}`);
  const { 'think-time': thinkTime } = values;
  return {
    options: values,
    isShort: short,
    mode: modeOf(name),
    minutes: parsePositiveNumber('--minutes', values.minutes ?? (name === 'overload' ? '2' : '10')),
    thinkTimeMs: thinkTime === undefined ? undefined : 1000 * parsePositiveNumber('--think-time', thinkTime),
    profile: findProfile(values.profile),
    twins: parseTwins(languages),
  };
}

function modeOf(name: string): Mode {
  const found = MODES.find((one) => one === name);
  if (!found) throw new Error(`unknown mode "${name}"; use one of ${MODES.join(', ')}`);
  return found;
}
