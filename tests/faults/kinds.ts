import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
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
  /** The title of the part that keeps them, where they are not files. */
  databaseServer: string | undefined;
  /** The title of the part that knows where the sidecars are, where that is no file. */
  nameServer: string | undefined;
  /** Where a file for each process says by how much its clock is ahead. */
  clockDir: string;
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
/** How long what is killed stays away. Milliseconds. */
const AWAY = [200, 2_000] as const;
/** Far beyond every deadline. */
const AN_HOUR_MS = 3_600_000;
const CLOCKS = { 'an hour ahead': AN_HOUR_MS, 'an hour back': -AN_HOUR_MS };

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
  const part = (title: string) => () => [system.infrastructure(title)];
  const hit = {
    service: (name: string) => [service(name)],
    sidecar: (name: string) => [sidecar(name)],
    both: (name: string) => [service(name), sidecar(name)],
  };
  const frozen = { replica: [500, 6_000], part: [500, 4_500], mail: [2_000, 8_000] } as const;
  const { broker } = around;
  const kinds: FaultKind[] = [
    kind('service killed', 3, replicas, AWAY, killing(hit.service)),
    kind('sidecar killed', 3, replicas, AWAY, killing(hit.sidecar)),
    kind('service and sidecar killed', 2, replicas, AWAY, killing(hit.both)),
    kind('service frozen', 3, replicas, frozen.replica, freezing(hit.service)),
    kind('sidecar frozen', 3, replicas, frozen.replica, freezing(hit.sidecar)),
    kind('service and sidecar frozen', 2, replicas, frozen.replica, freezing(hit.both)),
    kind('broker killed', 2, one(broker), AWAY, killing(part(broker))),
    kind('broker restarted', 1, one(broker), [0, 200], killing(part(broker), 'SIGTERM')),
    kind('broker frozen', 2, one(broker), frozen.part, freezing(part(broker))),
    // The next one waits for the lease of the one that was killed, some 20 s: more of it, and little else would happen.
    kind('scheduler killed', 0.3, one('Dapr scheduler'), AWAY, killing(part('Dapr scheduler'))),
    kind('scheduler frozen', 1, one('Dapr scheduler'), frozen.part, freezing(part('Dapr scheduler'))),
    kind('mail server frozen', 1, one('Mail catcher'), frozen.mail, freezing(part('Mail catcher'))),
    kind('Zipkin frozen', 1, one('Zipkin'), frozen.part, freezing(part('Zipkin'))),
    ...clockKinds(replicas, (name, ahead) => {
      const pid = service(name).pid();
      writeFileSync(join(around.clockDir, String(pid)), String(ahead));
      signal(pid, 'SIGUSR2');
    }),
  ];
  const { databaseServer, nameServer, farHost, farReplicas, smallDisk } = around;
  if (databaseServer)
    kinds.push(
      kind('database killed', 1, one(databaseServer), AWAY, killing(part(databaseServer))),
      // By SIGINT, PostgreSQL does not wait for the sidecars to hang up.
      kind('database restarted', 1, one(databaseServer), [0, 200], killing(part(databaseServer), 'SIGINT')),
    );
  if (nameServer)
    kinds.push(
      kind('name server killed', 1, one(nameServer), AWAY, killing(part(nameServer))),
      kind('name server frozen', 1, one(nameServer), frozen.part, freezing(part(nameServer))),
    );
  if (around.databases.length > 0)
    kinds.push({
      name: 'database locked',
      targets: around.databases.map((name) => ({ name, weight: 1, touches: [`database of ${name}`] })),
      lasts: [500, 4_500],
      weight: 2,
      begin: async (name) => lockDatabase(around.dataDir, name) ?? nothing,
    });
  if (farHost)
    kinds.push({
      name: 'network cut',
      targets: [{ name: farReplicas.join(', '), weight: 1, touches: farReplicas }],
      lasts: [1_000, 6_000],
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
      lasts: [1_000, 4_500],
      weight: 2,
      async begin() {
        smallDisk.disk.fill();
        return async () => smallDisk.disk.free();
      },
    });
  return kinds;
}

function kind(
  name: string,
  weight: number,
  targets: Target[],
  lasts: FaultKind['lasts'],
  begin: FaultKind['begin'],
): FaultKind {
  return { name, weight, targets, lasts, begin };
}

/** A kind for each service and direction: as every kind comes once before any comes again, every service has its turn. */
function clockKinds(
  replicas: readonly Target[],
  setClock: (name: string, ahead: number) => void,
): FaultKind[] {
  const serviceOf = ({ name }: Target) => name.replace(/-\d+$/, '');
  return [...new Set(replicas.map(serviceOf))].flatMap((service) =>
    Object.entries(CLOCKS).map(([where, ahead]) =>
      kind(
        `clock of ${service} ${where}`,
        0.15,
        replicas.filter((one) => serviceOf(one) === service),
        [1_000, 6_000],
        async (name) => {
          setClock(name, ahead);
          return async () => setClock(name, 0);
        },
      ),
    ),
  );
}

const nothing = async () => {};

type UnitsOf = (target: string) => ManagedProcess[];

function killing(unitsOf: UnitsOf, how: NodeJS.Signals = 'SIGKILL'): FaultKind['begin'] {
  return async (target) => {
    const units = unitsOf(target);
    await Promise.all(units.map((one) => one.stop(how)));
    return async () => void (await Promise.all(units.map(bringUp)));
  };
}

function freezing(unitsOf: UnitsOf): FaultKind['begin'] {
  return async (target) => {
    const pids = unitsOf(target).map((one) => one.pid());
    for (const pid of pids) signal(pid, 'SIGSTOP');
    return async () => {
      for (const pid of pids) signal(pid, 'SIGCONT');
    };
  };
}

/** What has ended by itself a moment ago is past it; the supervisor starts it again. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const STARTS = 20;

/** Starts what has ended, as often as it takes: a sidecar ends where the broker is away when it starts. */
export async function bringUp(unit: ManagedProcess): Promise<void> {
  for (let starts = 1; unit.hasExited(); starts++)
    try {
      await unit.start();
    } catch (error) {
      if (starts === STARTS) throw error;
      // It may run and not have become ready.
      await unit.stop('SIGKILL');
    }
}
