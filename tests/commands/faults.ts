import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { MODES, type Mode } from '../faults/run.ts';
import { amount } from '../../deploy/local/commands/arguments.ts';
import { anySeed, faultRun } from './fault-run.ts';
import { untilInterrupted } from '../../deploy/local/commands/interruptible.ts';
import { prepare } from '../../deploy/local/system/prepare.ts';
import { profileOf } from '../../deploy/local/profiles/index.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';
import { runTests } from './run-vitest.ts';

/**
 * `npm run test:faults -- [mode]`: ten minutes of load and faults against a system of its own, or what else the mode says;
 * then every promise is checked. `-- --short`: the tests of tests/faults instead, a run of three minutes and the guards.
 */
const { isShort, mode, minutes, restMs, profile, options } = await orExit(process, asked);
const { seed = anySeed(), only, keep = false } = options;
await prepare(tmpdir(), undefined, profile);
if (isShort) runTests(['faults']);
else
  await untilInterrupted(async (signal) => {
    const isGood = await faultRun({
      seed,
      seconds: 60 * minutes,
      mode,
      profile: profile?.name,
      only: only?.split(',').map((kind) => kind.trim()),
      restMs,
      keep,
      signal,
    });
    process.exitCode = isGood ? 0 : 1;
  });

/** What the arguments say. @throws Error where one of them is wrong */
function asked() {
  settings();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      profile: { type: 'string' },
      only: { type: 'string' },
      rest: { type: 'string' },
      keep: { type: 'boolean' },
      short: { type: 'boolean' },
    },
  });
  const { short = false } = values;
  if (short && process.argv.length > 3)
    throw new Error('--short cannot be combined with a mode or another option');
  const [name = 'faults', ...more] = positionals;
  if (more.length > 0) throw new Error(`only one mode can run at a time; remove ${more.join(', ')}`);
  const { rest } = values;
  return {
    options: values,
    isShort: short,
    mode: modeOf(name),
    minutes: amount('--minutes', values.minutes ?? (name === 'overload' ? '2' : '10')),
    restMs: rest === undefined ? undefined : 1000 * amount('--rest', rest),
    profile: profileOf(values.profile),
  };
}

function modeOf(name: string): Mode {
  const found = MODES.find((one) => one === name);
  if (!found) throw new Error(`unknown mode "${name}"; use one of ${MODES.join(', ')}`);
  return found;
}
