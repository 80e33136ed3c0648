import { parseArguments } from '../../deploy/local/commands/arguments.ts';
import { runInterruptibly } from '../../deploy/local/commands/interruptible.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { restrictFileAccess } from '../../deploy/local/machine/paths.ts';
import { parseTwins } from '../../deploy/local/programs/twins.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { replacedImages } from '../kubernetes/images.ts';
import { run } from '../kubernetes/run.ts';
import { randomSeed } from './fault-run.ts';

const KIND = 'docker build $BUILD_ARGUMENTS -t $IMAGE . && kind load docker-image $IMAGE';

/** `npm run test:kubernetes`: tests the local overlay in the cluster of KUBECONFIG, under load and faults. See tests/kubernetes. */
const asked = await orExit(process, () => {
  readSettings();
  const options = parseArguments({
    load: { type: 'string' },
    registry: { type: 'string' },
    images: { type: 'string' },
    with: { type: 'string' },
    seed: { type: 'string' },
  });
  const { load = KIND, registry, images = '', seed = randomSeed() } = options;
  return {
    imageCommand: load,
    registry: registry === undefined ? '' : `${registry}/`,
    images: replacedImages(images),
    twins: parseTwins(options.with),
    seed,
  };
});
restrictFileAccess();
await runInterruptibly(async (signal) => {
  const isGood = await run({ ...asked, signal, print: console.log }).catch((error: unknown) => {
    signal.throwIfAborted();
    console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    return false;
  });
  process.exitCode = isGood ? 0 : 1;
});
