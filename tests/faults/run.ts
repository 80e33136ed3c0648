import { setMaxListeners } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Unit } from '../../deploy/local/app-processes.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system.ts';
import { UNLIMITED } from '../support/unlimited.ts';
import { chance } from './chance.ts';
import { verifyAll } from './checks/checks.ts';
import type { Scene } from './checks/check.ts';
import { makeSmallDisk } from './disks.ts';
import { makeFarHost } from './far-host.ts';
import { inflict, supervise } from './inflict.ts';
import { journal as newJournal } from './journal.ts';
import { bringUp, kindsOf, REPLICAS, type FaultKind, type Surroundings } from './kinds.ts';
import { startLoad } from './load.ts';
import { doMischief, type Mischief } from './mischief.ts';
import { recoveries } from './recovery.ts';
import { byStatus, LEAST_SUCCEEDED, machine, succeededOf, type Report } from './report.ts';
import { schedule, type Fault } from './schedule.ts';
import { catalogue, letIn } from './shop-floor.ts';
import { tail } from './tail.ts';

export interface RunOptions {
  seed: string;
  /** Seconds of load and faults. */
  seconds: number;
  /** `mischief`: every message twice, late and in any order, as well. */
  mode: 'faults' | 'mischief';
  /** Which faults; not given: all. */
  only?: (kind: FaultKind) => boolean;
  customers?: number;
  restMs?: number;
  portOffset: number;
  /** Everything of the run is in a folder of its own in here. */
  scratch: string;
  /** Where the compiled services are; not given: those of this project. */
  dist?: string;
  /** After the load's end, until every promise has to hold. Milliseconds. */
  quietMs?: number;
  signal: AbortSignal;
  tell: (line: string) => void;
}

const FAR = ['orders-2', 'inventory-2', 'payments-2'];
const CLOCK = 'payments-2';
const SMALL_DISK = 'payments';

/** Starts a system, puts it under load and faults, waits until it is quiet, and checks every promise. */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, seconds, mode, portOffset, signal, tell } = options;
  // Every fault waits for it.
  setMaxListeners(0, signal);
  const dataDir = mkdtempSync(join(options.scratch, 'faults-'));
  const clock = { replica: CLOCK, file: join(dataDir, 'clock') };
  // A proxy stands on this host; with one, all services do.
  const farHost = mode === 'mischief' ? undefined : makeFarHost(portOffset / 1000);
  const smallDisk = makeSmallDisk(dataDir, SMALL_DISK);
  const closing: (() => Promise<void> | void)[] = [
    () => rmSync(dataDir, { recursive: true, force: true }),
    () => smallDisk?.remove(),
    () => farHost?.remove(),
  ];
  try {
    const mischief = await proxies();
    closing.push(async () => void (await Promise.all(mischief.map((one) => one.close()))));
    tell(`Starting a system at port ${8080 + portOffset} ...`);
    const system = await start();
    closing.push(system.stop);
    signal.throwIfAborted();
    return await attack(system);
  } finally {
    tell('Stopping ...');
    for (const close of closing.toReversed()) await close();
  }

  async function proxies(): Promise<Mischief[]> {
    if (mode !== 'mischief') return [];
    const source = chance(seed).of('mischief');
    return Promise.all(
      Object.entries(portsOfServices(portOffset)).map(([name, port]) =>
        doMischief(port + PROXY, port, source.of(name)),
      ),
    );
  }

  function start(): Promise<RunningSystem> {
    const seedFile = join(dataDir, 'catalogue.json');
    writeFileSync(seedFile, JSON.stringify(catalogue()));
    writeFileSync(clock.file, '0');
    const clockModule = new URL('./clock.js', import.meta.url).href;
    return startSystem({
      dataDir,
      portOffset,
      replicas: { orders: 2, inventory: 2, payments: 2 },
      env: {
        gateway: UNLIMITED,
        inventory: { SEED_FILE: seedFile },
        orders: mode === 'mischief' ? { ORDER_MAX_LAG_MS: '60000' } : {},
        payments: { PAYMENT_TIMEOUT_MS: '1000', SLOW_CARD_MS: '2500' },
        fulfilment: { DISPATCH_AFTER_MS: '300', DELIVER_AFTER_MS: '300' },
        [clock.replica]: { CLOCK_FILE: clock.file, NODE_OPTIONS: `--import=${clockModule}` },
      },
      ...(options.dist ? { dist: options.dist } : {}),
      ...(mode === 'mischief' ? { portForSidecar: (_name, port) => port + PROXY } : {}),
      ...(farHost
        ? {
            network: {
              address: farHost.address,
              hosts: Object.fromEntries(FAR.map((name) => [name, farHost.host])),
            },
          }
        : {}),
    });
  }

  async function attack(system: RunningSystem): Promise<Report> {
    const around: Surroundings = {
      dataDir,
      farHost,
      farReplicas: FAR,
      smallDisk: smallDisk && { of: SMALL_DISK, disk: smallDisk },
      clock,
    };
    const kinds = kindsOf(system, around).filter(options.only ?? (() => true));
    const plan = schedule({ seed, forMs: seconds * 1000, kinds });
    const people = await letIn(system.urls.api, system.admin, options.customers ?? 16);
    closing.push(people.close);
    const journal = newJournal();

    const held = new Map<string, number>();
    const units = unitsOf(system);
    const supervisor = supervise(units, (name) => (held.get(name.replace(/-sidecar$/, '')) ?? 0) > 0);
    closing.push(supervisor.stop);

    tell(`Seed ${seed}: ${plan.length} faults of ${kinds.length} kinds in ${seconds} s of load.`);
    const started = Date.now();
    const load = startLoad({ people, journal, seed, restMs: options.restMs ?? 600 });
    const calm = delay(seconds * 1000, undefined, { signal });
    const faults = await inflict(plan, kinds, {
      signal,
      during: async (fault, act) => {
        tell(
          `${clockTime(Date.now() - started)} ${journal.accepted.size} orders; ${fault.kind}: ${fault.target} (${fault.lasts} ms)`,
        );
        const touched = touches(kinds, fault);
        for (const name of touched) held.set(name, (held.get(name) ?? 0) + 1);
        await act().finally(() => {
          for (const name of touched) held.set(name, (held.get(name) ?? 1) - 1);
        });
      },
    });
    await calm;
    await load.stop();
    const loadEnded = Date.now();

    tell(`The load has ended: ${journal.accepted.size} orders. Waiting for quiet ...`);
    await Promise.all([...units.values()].map(bringUp));
    const last = await tail(people, journal, signal);
    await load.settle(60_000);
    const scene: Scene = { people, journal, mails: system.urls.mails, orders: new Map() };
    const checks = await verifyAll(scene, { deadlineMs: options.quietMs ?? 180_000, signal });
    supervisor.stop();
    const quietAfter = Date.now() - loadEnded;
    const succeeded = succeededOf(journal);
    const done = new Set(faults.map(({ kind }) => kind));
    return {
      seed,
      mode,
      profile: 'default',
      date: new Date().toISOString(),
      machine: machine(),
      seconds,
      faults: recoveries(faults, journal.accepted, scene.orders, Date.now()),
      missing: [
        ...(farHost || mode === 'mischief' ? [] : ['network cut']),
        ...(smallDisk ? [] : ['disk full']),
      ],
      endedByItself: countsOf(supervisor.endedByItself),
      requests: Object.fromEntries(journal.tries),
      failures: Object.fromEntries(journal.failures),
      succeeded,
      orders: byStatus(scene.orders),
      quietAfter,
      checks: [last, ...checks],
      vacuous: [
        ...(succeeded >= LEAST_SUCCEEDED
          ? []
          : [`only ${Math.round(100 * succeeded)} % of the first tries succeeded`]),
        ...(journal.accepted.size >= seconds ? [] : [`only ${journal.accepted.size} orders were accepted`]),
        ...(plan.length >= kinds.length
          ? kinds.filter(({ name }) => !done.has(name)).map(({ name }) => `no fault of the kind "${name}"`)
          : []),
      ],
    };
  }
}

/** By how much the port at which a sidecar finds its service is shifted, where a proxy stands between. */
const PROXY = 100;

/** Where the services listen, by the names of the replicas. */
function portsOfServices(offset: number): Record<string, number> {
  const first = [
    'gateway',
    'users',
    'inventory',
    'orders',
    'payments',
    'fulfilment',
    'notifications',
    'history',
  ];
  return Object.fromEntries(
    Object.keys(REPLICAS).map((name) => {
      const [id = '', number = '1'] = name.split('-');
      return [name, 8080 + offset + first.indexOf(id) + 10 * (Number(number) - 1)];
    }),
  );
}

/** Everything that can be stopped and started, by name. */
function unitsOf(system: RunningSystem): Map<string, Unit> {
  const parts = ['Redis', 'Dapr scheduler', 'Mail catcher', 'Zipkin'];
  return new Map([
    ...parts.map((title) => [title, system.part(title)] as const),
    ...Object.keys(REPLICAS).flatMap((name) => [
      [name, system.app(name).service] as const,
      [`${name}-sidecar`, system.app(name).sidecar] as const,
    ]),
  ]);
}

function touches(kinds: readonly FaultKind[], { kind, target }: Fault): readonly string[] {
  return kinds.find(({ name }) => name === kind)?.targets.find(({ name }) => name === target)?.touches ?? [];
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const clockTime = (ms: number) =>
  `${String(Math.floor(ms / 60_000)).padStart(2, '0')}:${((ms / 1000) % 60).toFixed(1).padStart(4, '0')}`;
