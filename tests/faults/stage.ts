import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { replicasOf } from '../../deploy/local/system/app-processes.ts';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { chance } from './chance.ts';
import { makeSmallDisk } from './disks.ts';
import { makeFarHost } from './far-host.ts';
import { kindsOf, type FaultKind } from './kinds.ts';
import { doMischief, type Manner } from './mischief.ts';
import { catalogue, type Shelf } from './shelf.ts';

/** A running system, and all that can be done to it. */
export interface Stage {
  system: RunningSystem;
  /** Its gateways. */
  doors: string[];
  kinds: FaultKind[];
  /** Kinds of fault that this machine does not allow. */
  missing: string[];
  /** Everything that can be stopped and started, by name. */
  units: ReadonlyMap<string, ManagedProcess>;
  /** What the proxies do to messages from now on; without proxies, nothing. */
  mischief: (manner: Manner) => void;
  close: () => Promise<void>;
}

export interface StageOptions {
  portOffset: number;
  /** Everything, the logs too, is kept in a folder of its own in here, and left there. */
  scratch: string;
  shelves: readonly Shelf[];
  /** Whether proxies stand between sidecars and services, which can do mischief; then all runs on one host. */
  proxies: boolean;
  /** How many there are of each service, by app id; one where none is said. Not given: two of those at the heart of an order. */
  replicas?: Readonly<Record<string, number>> | undefined;
  /** What the proxies' chance follows from. */
  seed: string;
  /** Where the compiled services are; not given: those of this project. */
  dist?: string;
  /** Other parts, by the name of their profile; then all runs on one host. With another store there are no files to be at. */
  profile?: string | undefined;
}

const AT_THE_HEART = { orders: 2, inventory: 2, payments: 2 };
const FAR = ['orders-2', 'inventory-2', 'payments-2'];
const SMALL_DISK = 'payments';
/** Services whose databases are files that can be locked. */
const DATABASES = ['orders', 'inventory', 'payments', 'fulfilment', 'history', 'notifications'];

/** Starts a system with replicas. @throws Error where it does not start; nothing is left running then */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { portOffset, scratch, proxies, replicas = AT_THE_HEART } = options;
  const profile = findProfile(options.profile);
  const { broker = 'Redis', databaseServer, nameServer } = profile ?? {};
  const dataDir = mkdtempSync(join(scratch, 'system-'));
  const clockDir = ensureFolder(dataDir, 'clocks');
  const farHost = proxies || profile ? undefined : makeFarHost(portOffset / 1000);
  const smallDisk = databaseServer ? undefined : makeSmallDisk(dataDir, SMALL_DISK);
  const mischief = proxies ? await startProxies(options, replicas) : [];
  const closing: (() => Promise<unknown> | void)[] = [
    () => smallDisk?.remove(),
    () => farHost?.remove(),
    () => Promise.all(mischief.map((one) => one.close())),
  ];
  const close = async () => {
    for (const one of closing.toReversed()) await one();
  };
  try {
    const system = await start();
    closing.push(system.stop);
    return {
      system,
      doors: system.names
        .filter((name) => name.startsWith('gateway'))
        .map((name) => `http://127.0.0.1:${system.app(name).appPort}`),
      kinds: kindsOf(system, {
        dataDir,
        farHost,
        farReplicas: FAR,
        smallDisk: smallDisk && { of: SMALL_DISK, disk: smallDisk },
        clockDir,
        broker,
        databases: databaseServer ? [] : DATABASES,
        databaseServer,
        nameServer,
      }),
      missing: [
        ...(farHost || proxies || profile ? [] : ['network cut']),
        ...(smallDisk || databaseServer ? [] : ['disk full']),
      ],
      units: unitsOf(
        system,
        [broker, databaseServer, nameServer].filter((title) => title !== undefined),
      ),
      mischief: (manner) => mischief.forEach((one) => one.set(manner)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  function start(): Promise<RunningSystem> {
    const seedFile = join(dataDir, 'catalogue.json');
    writeFileSync(seedFile, JSON.stringify(catalogue(options.shelves)));
    const { apps, common } = readTemplate();
    const clockModule = pathToFileURL(join(root, 'dist/tests/faults/clock.js')).href;
    const settable = {
      CLOCK_DIR: clockDir,
      NODE_OPTIONS: `${common.env['NODE_OPTIONS'] ?? ''} --import=${clockModule}`,
    };
    const env: Record<string, Record<string, string>> = {
      // Of so many orders, a trace of each would cost more than the orders.
      gateway: { ...NO_RATE_LIMITS, TRACES_PER_SECOND: '1' },
      // A clock an hour ahead must not send everybody to log in again.
      users: { TOKEN_TTL_SECONDS: String(4 * 3600) },
      inventory: { SEED_FILE: seedFile },
      // Messages that are late on purpose are no sign of too many orders.
      orders: proxies ? { ORDER_MAX_QUEUE_WAIT_MS: '60000' } : {},
      payments: { PAYMENT_TIMEOUT_MS: '1000', SIMULATED_SLOW_CARD_MS: '2500' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
    };
    return startSystem({
      dataDir,
      portOffset,
      replicas,
      env: Object.fromEntries(apps.map(({ appID }) => [appID, { ...settable, ...env[appID] }])),
      ...(options.dist ? { dist: options.dist } : {}),
      ...(profile ? { profile: profile.name } : {}),
      ...(proxies ? { portForSidecar: (_name, port) => port + PROXY } : {}),
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
}

/** By how much the port at which a sidecar finds its service is shifted, where a proxy stands between. */
const PROXY = 100;

function startProxies({ portOffset, seed }: StageOptions, replicas: Readonly<Record<string, number>>) {
  const source = chance(seed).of('mischief');
  return Promise.all(
    portsOfServices(portOffset, replicas).map((port) =>
      doMischief(port + PROXY, port, source.of(String(port))),
    ),
  );
}

/** Where the services listen. */
function portsOfServices(offset: number, replicas: Readonly<Record<string, number>>): number[] {
  return readTemplate()
    .apps.flatMap((app) => replicasOf(app, replicas[app.appID] ?? 1))
    .map(({ app }) => app.appPort + offset);
}

function unitsOf(system: RunningSystem, stores: readonly string[]): Map<string, ManagedProcess> {
  const parts = [...stores, 'Dapr scheduler', 'Mail catcher', 'Zipkin'];
  return new Map([
    ...parts.map((title) => [title, system.infrastructure(title)] as const),
    ...system.names.flatMap((name) => [
      [name, system.app(name).service] as const,
      [`${name}-sidecar`, system.app(name).sidecar] as const,
    ]),
  ]);
}
