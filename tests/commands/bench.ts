import { tmpdir } from 'node:os';
import { parseArguments } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { parseTwins } from '../../deploy/local/programs/twins.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { bench } from '../load/bench.ts';
import { benchObservability } from '../load/observability.ts';
import { benchTwins } from '../load/twins.ts';

/** `npm run bench`: measures a separate system on its own ports. tests/load/README.md describes the options. */
const { options, twins, portOffset } = await orExit(process, () => {
  const given = parseArguments({
    quick: { type: 'boolean' },
    profile: { type: 'boolean' },
    observability: { type: 'boolean' },
    with: { type: 'string' },
  });
  return { options: given, twins: parseTwins(given.with), portOffset: readSettings().PORT_OFFSET ?? 5_000 };
});
const { quick = false, profile = false, observability = false } = options;
await preparePrograms(tmpdir(), undefined, { observability, twins });
await runInterruptibly((signal) => {
  if (twins.length > 0) return benchTwins({ twins, quick, portOffset, signal });
  if (observability) return benchObservability({ quick, portOffset, signal });
  return bench({ quick, profile, portOffset, signal });
});
