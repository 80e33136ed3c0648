import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join, sep } from 'node:path';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { assertServicePortsFree } from '../configuration/system-ports.ts';
import { root } from '../machine/paths.ts';
import { preparePrograms } from '../system/prepare.ts';
import { startSystem, type RunningSystem } from '../system/system.ts';
import { effectsOfChanges } from './changed-files.ts';
import { printEndpoints } from './endpoints.ts';
import { explainError } from './error-message.ts';
import { resolveRequestedSystem } from './requested-system.ts';
import { lockDataFolder } from './start-lock.ts';

/**
 * `npm run dev`: the same system as `npm start`, in the same folder. It compiles changed code and restarts the services that run
 * it. Sidecars and infrastructure keep running. `dapr run` cannot do that, so this command starts each process itself.
 */

const { profile, observability, twins, offset, dataDir, logDir } = await orExit(
  process,
  resolveRequestedSystem,
);

let system: RunningSystem | undefined;
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  lockDataFolder(dataDir);
  await assertServicePortsFree(offset);
  const { zipkin, commands } = await preparePrograms(logDir, undefined, { profile, observability, twins });
  console.log('Starting services and sidecars ...');
  system = await startSystem({
    dataDir,
    portOffset: offset,
    reusesInfrastructure: true,
    observability,
    commands,
    ...(profile ? { profile: profile.name } : {}),
  });
  if (isStopping) await system.stop();
  printEndpoints({ offset, dataDir, profile, observability, zipkin });
  followChanges(system);
} catch (error) {
  if (!isStopping) console.error(`\n${explainError(error)}`);
  await stop(1);
}

/** Editors write a file in several steps, and several files at once. */
const DEBOUNCE_MS = 200;

function followChanges({ names, app }: RunningSystem): void {
  const changed = new Set<string>();
  const toRestart = new Set<string>();
  let work = Promise.resolve();
  let debounce: NodeJS.Timeout | undefined;

  for (const folder of ['services', 'components', 'deploy/local'])
    watch(join(root, folder), { recursive: true }, (_, file) => {
      if (file) onChange(`${folder}/${file.replaceAll(sep, '/')}`);
    });
  watch(root, (_, file) => {
    if (file === 'dapr.yaml' || file === 'package-lock.json') onChange(file);
  });
  console.log(`Watching services. Logs: ${logDir}`);

  function onChange(file: string): void {
    changed.add(file);
    clearTimeout(debounce);
    debounce = setTimeout(() => {
      work = work.then(apply).catch((error: unknown) => console.error(explainError(error)));
    }, DEBOUNCE_MS);
  }

  async function apply(): Promise<void> {
    const files = [...changed];
    changed.clear();
    const { restart, needsNewStart } = effectsOfChanges(root, files, names);
    for (const file of needsNewStart)
      console.log(
        `${file} has changed, but is read at start only. To apply the change, press Ctrl-C and run npm run dev.`,
      );
    for (const name of restart) toRestart.add(name);
    if (toRestart.size === 0 || isStopping) return;
    const startedAt = performance.now();
    if (!(await compiles())) {
      console.log(
        `The code does not compile. The services keep running the old code: ${[...toRestart].join(', ')}.`,
      );
      return;
    }
    const restarted = [...toRestart];
    toRestart.clear();
    await Promise.all(restarted.map(restartService));
    console.log(
      `Restarted ${restarted.join(', ')} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
    );
  }

  async function restartService(name: string): Promise<void> {
    const { service } = app(name);
    const oldPid = service.pid();
    await service.stop();
    if (isStopping) return;
    try {
      await service.start();
      console.log(`${name} runs the new code (process ${oldPid} replaced by ${service.pid()})`);
    } catch (error) {
      console.error(`${name} failed to start: ${explainError(error)}`);
    }
  }
}

async function compiles(): Promise<boolean> {
  const child = spawn('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

async function stop(code: number): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  if (system) console.log('\nStopping ...');
  await system?.stop();
  process.exit(code);
}
