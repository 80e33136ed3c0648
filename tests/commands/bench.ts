import { tmpdir } from 'node:os';
import { parseArguments } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { bench } from '../load/bench.ts';

/** `npm run bench`: measures a separate system on its own ports. `-- --quick` gives a short run. */
const { quick, portOffset } = await orExit(process, () => ({
  quick: parseArguments({ quick: { type: 'boolean' } }).quick ?? false,
  portOffset: readSettings().PORT_OFFSET ?? 5_000,
}));
await preparePrograms(tmpdir());
await runInterruptibly((signal) => bench({ quick, portOffset, signal }));
