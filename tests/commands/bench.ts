import { tmpdir } from 'node:os';
import { parseArguments } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { bench } from '../load/bench.ts';
import { benchObservability } from '../load/observability.ts';

/** `npm run bench`: measures a separate system on its own ports. tests/load/README.md describes the options. */
const { options, portOffset } = await orExit(process, () => ({
  options: parseArguments({
    quick: { type: 'boolean' },
    profile: { type: 'boolean' },
    observability: { type: 'boolean' },
  }),
  portOffset: readSettings().PORT_OFFSET ?? 5_000,
}));
const { quick = false, profile = false, observability = false } = options;
await preparePrograms(tmpdir(), undefined, { observability });
await runInterruptibly((signal) =>
  observability
    ? benchObservability({ quick, portOffset, signal })
    : bench({ quick, profile, portOffset, signal }),
);
