import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join, sep } from 'node:path';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { askedSystem } from './requested-system.ts';
import { consequenceOf } from './changed-files.ts';
import { explained } from './error-message.ts';
import { demandAlone } from './start-lock.ts';
import { root } from '../machine/paths.ts';
import { demandFreeForServices } from '../configuration/system-ports.ts';
import { prepare } from '../system/prepare.ts';
import { startSystem, type RunningSystem } from '../system/system.ts';
import { sayWhere } from './endpoints.ts';

/**
 * `npm run dev`: the same system as `npm start`, in the same folder. When code changes it is compiled, and the services that run it
 * start anew; sidecars and everything else keep running. `dapr run` cannot do that, so the processes are started one by one.
 */

const { profile, offset, dataDir, logDir } = await orExit(process, askedSystem);

let system: RunningSystem | undefined;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  demandAlone(dataDir);
  await demandFreeForServices(offset);
  const { zipkin } = await prepare(logDir, undefined, profile);
  console.log('Starting services and sidecars ...');
  system = await startSystem({
    dataDir,
    portOffset: offset,
    usesFound: true,
    ...(profile ? { profile: profile.name } : {}),
  });
  if (stopping) await system.stop();
  sayWhere({ offset, dataDir, profile, zipkin });
  followChanges(system);
} catch (error) {
  if (!stopping) console.error(`\n${explained(error)}`);
  await stop(1);
}

/** Editors write a file in several steps, and several files at once. Milliseconds. */
const SETTLES = 200;

function followChanges({ names, app }: RunningSystem): void {
  const changed = new Set<string>();
  const waiting = new Set<string>();
  let work = Promise.resolve();
  let settled: NodeJS.Timeout | undefined;

  for (const folder of ['services', 'components', 'deploy/local'])
    watch(join(root, folder), { recursive: true }, (_, file) => {
      if (file) note(`${folder}/${file.replaceAll(sep, '/')}`);
    });
  watch(root, (_, file) => {
    if (file === 'dapr.yaml' || file === 'package-lock.json') note(file);
  });
  console.log(`Watching services. Logs: ${logDir}`);

  function note(file: string): void {
    changed.add(file);
    clearTimeout(settled);
    settled = setTimeout(() => {
      work = work.then(apply).catch((error: unknown) => console.error(explained(error)));
    }, SETTLES);
  }

  async function apply(): Promise<void> {
    const files = [...changed];
    changed.clear();
    const { restart, needsNewStart } = consequenceOf(root, files, names);
    for (const file of needsNewStart)
      console.log(
        `${file} has changed, but is read at start only. To apply the change, press Ctrl-C and run npm run dev.`,
      );
    for (const name of restart) waiting.add(name);
    if (waiting.size === 0 || stopping) return;
    const begun = performance.now();
    if (!(await compiles())) {
      console.log(
        `The code does not compile. The services keep running the old code: ${[...waiting].join(', ')}.`,
      );
      return;
    }
    const anew = [...waiting];
    waiting.clear();
    await Promise.all(anew.map(startAnew));
    console.log(`Restarted ${anew.join(', ')} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  }

  async function startAnew(name: string): Promise<void> {
    const { service } = app(name);
    const before = service.pid();
    await service.stop();
    if (stopping) return;
    try {
      await service.start();
      console.log(`${name} runs the new code (process ${before} replaced by ${service.pid()})`);
    } catch (error) {
      console.error(`${name} failed to start: ${explained(error)}`);
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
  if (stopping) return;
  stopping = true;
  if (system) console.log('\nStopping ...');
  await system?.stop();
  process.exit(code);
}
