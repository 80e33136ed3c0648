import { writeFileSync } from 'node:fs';
import type { Unit } from '../../deploy/local/app-processes.ts';
import type { RunningSystem } from '../../deploy/local/system.ts';
import { lockDatabase, type SmallDisk } from './disks.ts';
import type { FarHost } from './far-host.ts';
import type { Kind, Target } from './schedule.ts';

/** A kind of fault that can be done. */
export interface FaultKind extends Kind {
  /** Does it to the target. @returns what ends it, and resolves when what it stopped is up again */
  begin: (target: string) => Promise<() => Promise<void>>;
}

/** What the faults need beside the system itself; what the machine does not allow is not there. */
export interface Surroundings {
  dataDir: string;
  farHost: FarHost | undefined;
  /** Replicas that run at the far host. */
  farReplicas: readonly string[];
  smallDisk: { of: string; disk: SmallDisk } | undefined;
  /** The title of the part that is the broker. */
  broker: string;
  /** Services whose databases are files that can be locked. */
  databases: readonly string[];
  /** The replica whose clock can be set, and the file that says by how much. */
  clock: { replica: string; file: string };
}

/** Every replica by how often it is hit: those that money and stock depend on most often. */
export const REPLICAS: Readonly<Record<string, number>> = {
  orders: 4,
  'orders-2': 4,
  inventory: 4,
  'inventory-2': 4,
  payments: 4,
  'payments-2': 4,
  fulfilment: 3,
  history: 2,
  notifications: 2,
  users: 1,
  gateway: 1,
};
/** An hour: far beyond every deadline. */
const CLOCK_AHEAD = 3_600_000;

/** All kinds of fault that this machine allows. */
export function kindsOf(system: RunningSystem, around: Surroundings): FaultKind[] {
  const replicas = Object.entries(REPLICAS).map(([name, weight]): Target => ({
    name,
    weight,
    touches: [name],
  }));
  const one = (name: string): Target[] => [{ name, weight: 1, touches: [name] }];
  const service = (name: string) => system.app(name).service;
  const sidecar = (name: string) => system.app(name).sidecar;
  const part = (title: string) => () => [system.part(title)];
  const hit = {
    service: (name: string) => [service(name)],
    sidecar: (name: string) => [sidecar(name)],
    both: (name: string) => [service(name), sidecar(name)],
  };
  const kinds: FaultKind[] = [
    {
      name: 'service killed',
      targets: replicas,
      lasts: [200, 3_000],
      weight: 5,
      begin: killing(hit.service),
    },
    {
      name: 'sidecar killed',
      targets: replicas,
      lasts: [200, 3_000],
      weight: 5,
      begin: killing(hit.sidecar),
    },
    {
      name: 'service and sidecar killed',
      targets: replicas,
      lasts: [200, 3_000],
      weight: 3,
      begin: killing(hit.both),
    },
    {
      name: 'service frozen',
      targets: replicas,
      lasts: [500, 8_000],
      weight: 3,
      begin: freezing(hit.service),
    },
    {
      name: 'sidecar frozen',
      targets: replicas,
      lasts: [500, 8_000],
      weight: 3,
      begin: freezing(hit.sidecar),
    },
    {
      name: 'service and sidecar frozen',
      targets: replicas,
      lasts: [500, 8_000],
      weight: 2,
      begin: freezing(hit.both),
    },
    {
      name: 'broker killed',
      targets: one(around.broker),
      lasts: [200, 3_000],
      weight: 2,
      begin: killing(part(around.broker)),
    },
    {
      name: 'broker restarted',
      targets: one(around.broker),
      lasts: [0, 200],
      weight: 1,
      begin: killing(part(around.broker), 'SIGTERM'),
    },
    {
      name: 'broker frozen',
      targets: one(around.broker),
      lasts: [500, 6_000],
      weight: 2,
      begin: freezing(part(around.broker)),
    },
    {
      name: 'scheduler killed',
      targets: one('Dapr scheduler'),
      lasts: [200, 3_000],
      // The next one waits for the lease of the one that was killed, some 20 s: more of it, and little else would happen.
      weight: 0.5,
      begin: killing(part('Dapr scheduler')),
    },
    {
      name: 'scheduler frozen',
      targets: one('Dapr scheduler'),
      lasts: [500, 6_000],
      weight: 1,
      begin: freezing(part('Dapr scheduler')),
    },
    {
      name: 'mail server frozen',
      targets: one('Mail catcher'),
      lasts: [500, 6_000],
      weight: 1,
      begin: freezing(part('Mail catcher')),
    },
    {
      name: 'Zipkin frozen',
      targets: one('Zipkin'),
      lasts: [500, 6_000],
      weight: 1,
      begin: freezing(part('Zipkin')),
    },
    {
      name: 'clock an hour ahead',
      targets: [{ name: around.clock.replica, weight: 1, touches: [around.clock.replica] }],
      lasts: [1_000, 8_000],
      weight: 1,
      async begin(name) {
        setClock(CLOCK_AHEAD);
        return async () => setClock(0);
        function setClock(ahead: number): void {
          writeFileSync(around.clock.file, String(ahead));
          process.kill(service(name).pid(), 'SIGUSR2');
        }
      },
    },
  ];
  const { farHost, farReplicas, smallDisk } = around;
  if (around.databases.length > 0)
    kinds.push({
      name: 'database locked',
      targets: around.databases.map((name) => ({ name, weight: 1, touches: [`database of ${name}`] })),
      lasts: [500, 6_000],
      weight: 2,
      begin: async (name) => lockDatabase(around.dataDir, name) ?? nothing,
    });
  if (farHost)
    kinds.push({
      name: 'network cut',
      targets: [{ name: farReplicas.join(', '), weight: 1, touches: farReplicas }],
      lasts: [1_000, 8_000],
      weight: 2,
      async begin() {
        farHost.cut();
        return async () => farHost.join();
      },
    });
  if (smallDisk)
    kinds.push({
      name: 'disk full',
      targets: [{ name: smallDisk.of, weight: 1, touches: [`database of ${smallDisk.of}`] }],
      lasts: [1_000, 6_000],
      weight: 2,
      async begin() {
        smallDisk.disk.fill();
        return async () => smallDisk.disk.free();
      },
    });
  return kinds;
}

const nothing = async () => {};

type UnitsOf = (target: string) => Unit[];

function killing(unitsOf: UnitsOf, signal: NodeJS.Signals = 'SIGKILL'): FaultKind['begin'] {
  return async (target) => {
    const units = unitsOf(target);
    await Promise.all(units.map((one) => one.stop(signal)));
    return async () => void (await Promise.all(units.map(bringUp)));
  };
}

function freezing(unitsOf: UnitsOf): FaultKind['begin'] {
  return async (target) => {
    const pids = unitsOf(target).map((one) => one.pid());
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    return async () => {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    };
  };
}

const STARTS = 20;

/** Starts what has ended, as often as it takes: a sidecar ends where the broker is away when it starts. */
export async function bringUp(unit: Unit): Promise<void> {
  for (let starts = 1; unit.hasEnded(); starts++)
    try {
      await unit.start();
    } catch (error) {
      if (starts === STARTS) throw error;
      // It may run and not have become ready.
      await unit.stop('SIGKILL');
    }
}
