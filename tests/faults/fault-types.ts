import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import type { Twin } from '../../deploy/local/programs/twins.ts';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { twinOf } from '../support/twins.ts';
import { lockDatabase, type SmallDisk } from './disks.ts';
import type { SeparableHost } from './remote-host.ts';
import type { FaultTypeSpec, Target } from './schedule.ts';

/** A fault type that the harness can cause. */
export interface FaultType extends FaultTypeSpec {
  /** Starts the fault. @returns the function that ends it and resolves when the target is running again */
  begin: (target: string) => Promise<() => Promise<void>>;
}

/** The resources of fault types. A resource that the machine does not support is undefined. */
export interface FaultTypeOptions {
  dataDir: string;
  remoteHost: SeparableHost | undefined;
  /** Replicas on the remote host. */
  remoteReplicas: readonly string[];
  smallDisk: { of: string; disk: SmallDisk } | undefined;
  /** The title of the broker. */
  broker: string;
  /** Services with an SQLite database, which can be locked. */
  databases: readonly string[];
  /** The title of the database server, if there is one. */
  databaseServer: string | undefined;
  /** The title of the name server, if there is one. */
  nameServer: string | undefined;
  /** The folder with the clock offset of each process. */
  clockDir: string;
  /** The services in other languages. The module that shifts a clock is one of Node.js. */
  twins: readonly Twin[];
}

/** The weight of each replica as a target. Those that handle money and stock have the highest. */
export const REPLICA_WEIGHTS: Readonly<Record<string, number>> = {
  orders: 4,
  'orders-2': 4,
  inventory: 4,
  'inventory-2': 4,
  payments: 4,
  'payments-2': 4,
  fulfilment: 3,
  history: 2,
  notifications: 2,
  returns: 3,
  'returns-2': 3,
  users: 1,
  gateway: 1,
};
/** The time until a killed process is restarted. */
const DOWNTIME_MS = [200, 2_000] as const;
/** Longer than every deadline. */
const AN_HOUR_MS = 3_600_000;
const CLOCK_OFFSETS = { 'an hour ahead': AN_HOUR_MS, 'an hour back': -AN_HOUR_MS };

/** All fault types that this machine supports. */
export function createFaultTypes(system: RunningSystem, options: FaultTypeOptions): FaultType[] {
  const replicas = Object.entries(REPLICA_WEIGHTS).map(([name, weight]): Target => ({
    name,
    weight,
    affects: [name],
  }));
  const withShiftableClock = replicas.filter(({ name }) => !twinOf(options.twins, name));
  const onlyTarget = (name: string): Target[] => [{ name, weight: 1, affects: [name] }];
  const service = (name: string) => system.app(name).service;
  const sidecar = (name: string) => system.app(name).sidecar;
  const part = (title: string) => () => [system.infrastructure(title)];
  const hit = {
    service: (name: string) => [service(name)],
    sidecar: (name: string) => [sidecar(name)],
    both: (name: string) => [service(name), sidecar(name)],
  };
  const frozen = { replica: [500, 6_000], part: [500, 4_500], mail: [2_000, 8_000] } as const;
  const { broker } = options;
  function controlPlaneFaults(name: string, killWeight: number): FaultType[] {
    const title = `Dapr ${name}`;
    return [
      createFaultType(`${name} killed`, killWeight, onlyTarget(title), DOWNTIME_MS, killUnits(part(title))),
      createFaultType(`${name} frozen`, 1, onlyTarget(title), frozen.part, freezeUnits(part(title))),
    ];
  }
  const faultTypes: FaultType[] = [
    createFaultType('service killed', 3, replicas, DOWNTIME_MS, killUnits(hit.service)),
    createFaultType('sidecar killed', 3, replicas, DOWNTIME_MS, killUnits(hit.sidecar)),
    createFaultType('service and sidecar killed', 2, replicas, DOWNTIME_MS, killUnits(hit.both)),
    createFaultType('service frozen', 3, replicas, frozen.replica, freezeUnits(hit.service)),
    createFaultType('sidecar frozen', 3, replicas, frozen.replica, freezeUnits(hit.sidecar)),
    createFaultType('service and sidecar frozen', 2, replicas, frozen.replica, freezeUnits(hit.both)),
    createFaultType('broker killed', 2, onlyTarget(broker), DOWNTIME_MS, killUnits(part(broker))),
    createFaultType('broker restarted', 1, onlyTarget(broker), [0, 200], killUnits(part(broker), 'SIGTERM')),
    createFaultType('broker frozen', 2, onlyTarget(broker), frozen.part, freezeUnits(part(broker))),
    // The next scheduler waits some 20 s for the lease of the killed one, so this fault must be rare.
    ...controlPlaneFaults('scheduler', 0.3),
    ...controlPlaneFaults('placement', 1),
    createFaultType(
      'mail server frozen',
      1,
      onlyTarget('Mail catcher'),
      frozen.mail,
      freezeUnits(part('Mail catcher')),
    ),
    createFaultType('Zipkin frozen', 1, onlyTarget('Zipkin'), frozen.part, freezeUnits(part('Zipkin'))),
    ...clockFaultTypes(withShiftableClock, (name, ahead) => {
      const pid = service(name).pid();
      writeFileSync(join(options.clockDir, String(pid)), String(ahead));
      sendSignal(pid, 'SIGUSR2');
    }),
  ];
  const { databaseServer, nameServer, remoteHost, remoteReplicas, smallDisk } = options;
  if (databaseServer)
    faultTypes.push(
      createFaultType(
        'database killed',
        1,
        onlyTarget(databaseServer),
        DOWNTIME_MS,
        killUnits(part(databaseServer)),
      ),
      // On SIGINT, PostgreSQL does not wait for clients to disconnect.
      createFaultType(
        'database restarted',
        1,
        onlyTarget(databaseServer),
        [0, 200],
        killUnits(part(databaseServer), 'SIGINT'),
      ),
    );
  if (nameServer)
    faultTypes.push(
      createFaultType(
        'name server killed',
        1,
        onlyTarget(nameServer),
        DOWNTIME_MS,
        killUnits(part(nameServer)),
      ),
      createFaultType(
        'name server frozen',
        1,
        onlyTarget(nameServer),
        frozen.part,
        freezeUnits(part(nameServer)),
      ),
    );
  if (options.databases.length > 0)
    faultTypes.push({
      name: 'database locked',
      targets: options.databases.map((name) => ({ name, weight: 1, affects: [`database of ${name}`] })),
      durationRangeMs: [500, 4_500],
      weight: 2,
      begin: async (name) => lockDatabase(options.dataDir, name) ?? doNothing,
    });
  if (remoteHost)
    faultTypes.push({
      name: 'network cut',
      targets: [{ name: remoteReplicas.join(', '), weight: 1, affects: remoteReplicas }],
      durationRangeMs: [1_000, 6_000],
      weight: 2,
      async begin() {
        remoteHost.cut();
        return async () => remoteHost.join();
      },
    });
  if (smallDisk)
    faultTypes.push({
      name: 'disk full',
      targets: [{ name: smallDisk.of, weight: 1, affects: [`database of ${smallDisk.of}`] }],
      durationRangeMs: [1_000, 4_500],
      weight: 2,
      async begin() {
        smallDisk.disk.fill();
        return async () => smallDisk.disk.free();
      },
    });
  return faultTypes;
}

function createFaultType(
  name: string,
  weight: number,
  targets: Target[],
  durationRangeMs: FaultType['durationRangeMs'],
  begin: FaultType['begin'],
): FaultType {
  return { name, weight, targets, durationRangeMs, begin };
}

/** One type per service and direction, because the schedule has every type once before it repeats one. */
function clockFaultTypes(
  replicas: readonly Target[],
  setClock: (name: string, ahead: number) => void,
): FaultType[] {
  const serviceOf = ({ name }: Target) => name.replace(/-\d+$/, '');
  return [...new Set(replicas.map(serviceOf))].flatMap((service) =>
    Object.entries(CLOCK_OFFSETS).map(([where, ahead]) =>
      createFaultType(
        `clock of ${service} ${where}`,
        0.15,
        replicas.filter((onlyTarget) => serviceOf(onlyTarget) === service),
        [1_000, 6_000],
        async (name) => {
          setClock(name, ahead);
          return async () => setClock(name, 0);
        },
      ),
    ),
  );
}

const doNothing = async () => {};

type UnitsOf = (target: string) => ManagedProcess[];

function killUnits(unitsOf: UnitsOf, signal: NodeJS.Signals = 'SIGKILL'): FaultType['begin'] {
  return async (target) => {
    const units = unitsOf(target);
    await Promise.all(units.map((onlyTarget) => onlyTarget.stop(signal)));
    return async () => void (await Promise.all(units.map(ensureRunning)));
  };
}

function freezeUnits(unitsOf: UnitsOf): FaultType['begin'] {
  return async (target) => {
    const pids = unitsOf(target).map((onlyTarget) => onlyTarget.pid());
    for (const pid of pids) sendSignal(pid, 'SIGSTOP');
    return async () => {
      for (const pid of pids) sendSignal(pid, 'SIGCONT');
    };
  };
}

/** Ignores a process that has just exited, because the supervisor restarts it. */
function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const MAX_STARTS = 20;

/** Starts a process that has exited, with retries: a sidecar exits if the broker is unavailable at its start. */
export async function ensureRunning(unit: ManagedProcess): Promise<void> {
  for (let starts = 1; unit.hasExited(); starts++)
    try {
      await unit.start();
    } catch (error) {
      if (starts === MAX_STARTS) throw error;
      // The process may be running without being ready.
      await unit.stop('SIGKILL');
    }
}
