import { tmpdir } from 'node:os';
import { bench } from '../load/bench.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { argumentsOf } from '../../deploy/local/commands/arguments.ts';
import { untilInterrupted } from '../../deploy/local/commands/interruptible.ts';
import { prepare } from '../../deploy/local/system/prepare.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';

/** `npm run bench`: measures a system of its own, on ports of its own. `-- --quick` for a short look. */
const { quick, portOffset } = await orExit(process, () => ({
  quick: argumentsOf({ quick: { type: 'boolean' } }).quick ?? false,
  portOffset: settings().PORT_OFFSET ?? 5_000,
}));
await prepare(tmpdir());
await untilInterrupted((signal) => bench({ quick, portOffset, signal }));
