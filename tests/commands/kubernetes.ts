import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { replacedImages } from '../kubernetes/images.ts';
import { run } from '../kubernetes/run.ts';
import { argumentsOf } from '../../deploy/local/commands/arguments.ts';
import { anySeed } from './fault-run.ts';
import { untilInterrupted } from '../../deploy/local/commands/interruptible.ts';
import { keepPrivate } from '../../deploy/local/machine/paths.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';

const KIND = 'docker build $BUILD_ARGUMENTS -t $IMAGE . && kind load docker-image $IMAGE';

/** `npm run test:kubernetes`: the local overlay in the cluster of KUBECONFIG, under load and faults. See tests/kubernetes. */
const asked = await orExit(process, () => {
  settings();
  const options = argumentsOf({
    load: { type: 'string' },
    registry: { type: 'string' },
    images: { type: 'string' },
    seed: { type: 'string' },
  });
  const { load = KIND, registry, images = '', seed = anySeed() } = options;
  return {
    imageCommand: load,
    registry: registry === undefined ? '' : `${registry}/`,
    images: replacedImages(images),
    seed,
  };
});
keepPrivate();
await untilInterrupted(async (signal) => {
  const isGood = await run({ ...asked, signal, tell: console.log }).catch((error: unknown) => {
    signal.throwIfAborted();
    console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    return false;
  });
  process.exitCode = isGood ? 0 : 1;
});
