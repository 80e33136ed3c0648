import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { replicasOf } from '../../deploy/local/system/app-processes.ts';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import type { Twin } from '../../deploy/local/programs/twins.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { commandsOf } from '../support/twins.ts';
import { createPrng } from './prng.ts';
import { createSmallDisk } from './disks.ts';
import { createRemoteHost } from './remote-host.ts';
import { createFaultTypes, type FaultType } from './fault-types.ts';
import { startMessageChaos, type ChaosMode } from './message-chaos.ts';
import { createCatalogue, type TestProducts } from './test-products.ts';

/** A running system and the faults that it supports. */
export interface Environment {
  system: RunningSystem;
  /** The URLs of the gateways. */
  gateways: string[];
  faultTypes: FaultType[];
  /** Fault types that this machine or a twin does not support. */
  unavailableFaultTypes: string[];
  /** All processes that can be stopped and started, by name. */
  units: ReadonlyMap<string, ManagedProcess>;
  /** Sets the mode of the proxies. Without proxies, it does nothing. */
  setMessageChaos: (mode: ChaosMode) => void;
  close: () => Promise<void>;
}

export interface EnvironmentOptions {
  portOffset: number;
  /** The parent of the folder with databases and logs, which remains. */
  scratch: string;
  products: readonly TestProducts[];
  /** Whether proxies between sidecars and services can disturb messages. Then everything runs on one host. */
  proxies: boolean;
  /** The replicas by app id; one for any other service. By default, two of the services that process orders. */
  replicas?: Readonly<Record<string, number>> | undefined;
  /** The seed of the proxies. */
  seed: string;
  /** The folder of the compiled services. By default, that of this project. */
  dist?: string;
  /** The profile of the system. With a profile, everything runs on one host. */
  profile?: string | undefined;
  /** The services in other languages. */
  twins?: readonly Twin[] | undefined;
}

const CORE_REPLICAS = { orders: 2, inventory: 2, payments: 2, returns: 2 };
const REMOTE_REPLICAS = ['orders-2', 'inventory-2', 'payments-2'];
const SMALL_DISK_SERVICE = 'payments';
/** Services with an SQLite database, which can be locked. */
const LOCKABLE_DATABASES = [
  'orders',
  'inventory',
  'payments',
  'fulfilment',
  'history',
  'notifications',
  'returns',
];

/** Starts a system with replicas. @throws Error if it does not start, after stopping everything */
export async function startEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const { portOffset, scratch, proxies, replicas = CORE_REPLICAS, twins = [] } = options;
  const profile = findProfile(options.profile);
  const { broker = 'Redis', databaseServer, nameServer } = profile ?? {};
  const dataDir = mkdtempSync(join(scratch, 'system-'));
  const clockDir = ensureFolder(dataDir, 'clocks');
  const remoteHost = proxies || profile ? undefined : createRemoteHost(portOffset / 1000);
  const smallDisk = databaseServer ? undefined : createSmallDisk(dataDir, SMALL_DISK_SERVICE);
  const messageChaos = proxies ? await startProxies(options, replicas) : [];
  const closing: (() => Promise<unknown> | void)[] = [
    () => smallDisk?.remove(),
    () => remoteHost?.remove(),
    () => Promise.all(messageChaos.map((chaos) => chaos.close())),
  ];
  const close = async () => {
    for (const chaos of closing.toReversed()) await chaos();
  };
  try {
    const system = await start();
    closing.push(system.stop);
    return {
      system,
      gateways: system.names
        .filter((name) => name.startsWith('gateway'))
        .map((name) => `http://127.0.0.1:${system.app(name).appPort}`),
      faultTypes: createFaultTypes(system, {
        dataDir,
        remoteHost,
        remoteReplicas: REMOTE_REPLICAS,
        smallDisk: smallDisk && { of: SMALL_DISK_SERVICE, disk: smallDisk },
        clockDir,
        twins,
        broker,
        databases: databaseServer ? [] : LOCKABLE_DATABASES,
        databaseServer,
        nameServer,
      }),
      unavailableFaultTypes: [
        ...(remoteHost || proxies || profile ? [] : ['network cut']),
        ...(smallDisk || databaseServer ? [] : ['disk full']),
        ...twins.map(({ service }) => `clock of ${service}`),
      ],
      units: unitsOf(
        system,
        [broker, databaseServer, nameServer].filter((title) => title !== undefined),
      ),
      setMessageChaos: (mode) => messageChaos.forEach((chaos) => chaos.set(mode)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  async function start(): Promise<RunningSystem> {
    const seedFile = join(dataDir, 'catalogue.json');
    writeFileSync(seedFile, JSON.stringify(createCatalogue(options.products)));
    const { apps, common } = readTemplate();
    const clockModule = pathToFileURL(join(root, 'dist/tests/faults/clock.js')).href;
    const clockEnv = {
      CLOCK_DIR: clockDir,
      NODE_OPTIONS: `${common.env['NODE_OPTIONS'] ?? ''} --import=${clockModule}`,
    };
    const env: Record<string, Record<string, string>> = {
      // Tracing every order would cost more than the orders.
      gateway: { ...NO_RATE_LIMITS, TRACES_PER_SECOND: '1' },
      // A clock an hour ahead must not expire the tokens of customers.
      users: { TOKEN_TTL_SECONDS: String(4 * 3600) },
      inventory: { SEED_FILE: seedFile },
      // Delayed messages must not look like overload.
      orders: proxies ? { ORDER_MAX_QUEUE_WAIT_MS: '60000' } : {},
      payments: { PAYMENT_TIMEOUT_MS: '1000', SIMULATED_SLOW_CARD_MS: '2500' },
      // A parcel that does not arrive within some twenty seconds expires.
      returns: { RETURN_PARCEL_DAYS: '0.00025', RETURN_SWEEP_SECONDS: '5' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
    };
    return startSystem({
      dataDir,
      portOffset,
      replicas,
      commands: await commandsOf(twins),
      env: Object.fromEntries(apps.map(({ appID }) => [appID, { ...clockEnv, ...env[appID] }])),
      ...(options.dist ? { dist: options.dist } : {}),
      ...(profile ? { profile: profile.name } : {}),
      ...(proxies ? { portForSidecar: (_name, port) => port + PROXY_PORT_OFFSET } : {}),
      ...(remoteHost
        ? {
            network: {
              address: remoteHost.address,
              hosts: Object.fromEntries(REMOTE_REPLICAS.map((name) => [name, remoteHost.host])),
            },
          }
        : {}),
    });
  }
}

/** The offset of a proxy port from the port of its service. */
const PROXY_PORT_OFFSET = 100;

function startProxies({ portOffset, seed }: EnvironmentOptions, replicas: Readonly<Record<string, number>>) {
  const prng = createPrng(seed).of('message chaos');
  return Promise.all(
    portsOfServices(portOffset, replicas).map((port) =>
      startMessageChaos(port + PROXY_PORT_OFFSET, port, prng.of(String(port))),
    ),
  );
}

/** The ports of all replicas. */
function portsOfServices(offset: number, replicas: Readonly<Record<string, number>>): number[] {
  return readTemplate()
    .apps.flatMap((app) => replicasOf(app, replicas[app.appID] ?? 1))
    .map(({ app }) => app.appPort + offset);
}

function unitsOf(system: RunningSystem, stores: readonly string[]): Map<string, ManagedProcess> {
  const parts = [...stores, 'Dapr scheduler', 'Dapr placement', 'Mail catcher', 'Zipkin'];
  return new Map([
    ...parts.map((title) => [title, system.infrastructure(title)] as const),
    ...system.names.flatMap((name) => [
      [name, system.app(name).service] as const,
      [`${name}-sidecar`, system.app(name).sidecar] as const,
    ]),
  ]);
}
