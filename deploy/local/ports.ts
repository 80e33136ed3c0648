import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { loadConfig } from '../../services/shared/runtime/config.ts';
import { integer } from '../../services/shared/runtime/settings.ts';
import { holderOf, isClosing } from './port-holder.ts';
import { readTemplate, type App } from './template.ts';

/** The highest shifted port is Zipkin's; further up are those that the system gives to outgoing connections. */
export const LARGEST_OFFSET = 22_000;

/** By how much all ports are shifted. */
export const portOffsetSetting = integer({ min: 0, max: LARGEST_OFFSET, example: 1_000 })
  .superRefine((offset, context) => {
    const problem = offsetProblem(offset);
    if (!problem) return;
    const { message, next } = problem;
    context.addIssue({ code: 'custom', message, params: { example: String(next ?? 0) } });
  })
  .optional();

/**
 * By how much all ports are shifted, from PORT_OFFSET.
 *
 * @throws Error where that is no such number, or one with which the system does not work
 */
export function portOffset(fallback = 0): number {
  const { PORT_OFFSET } = loadConfig(z.object({ PORT_OFFSET: portOffsetSetting }), process.env);
  return PORT_OFFSET ?? fallback;
}

/** The ports of what stands around the services; every port of a system is shifted by the same offset. */
export interface Ports {
  redis: number;
  nats: number;
  postgres: number;
  consul: number;
  consulServer: number;
  consulGossip: number;
  scheduler: number;
  schedulerHealth: number;
  schedulerMetrics: number;
  schedulerEtcdClient: number;
  schedulerEtcdPeer: number;
  zipkin: number;
  smtp: number;
  mailWeb: number;
  /** The gateway's door for gRPC. */
  grpc: number;
  /** Its /readyz and /metrics. */
  operator: number;
}

export function portsAt(offset: number): Ports {
  // Shifted, these two would leave the range of ports: others are taken then.
  const scheduler = offset === 0 ? 50_006 : 4_000 + offset;
  const grpc = offset === 0 ? 50_051 : 4_005 + offset;
  return {
    redis: 6379 + offset,
    nats: 4222 + offset,
    postgres: 5432 + offset,
    consul: 8500 + offset,
    consulServer: 8300 + offset,
    consulGossip: 8301 + offset,
    scheduler,
    schedulerHealth: 4_001 + offset,
    schedulerMetrics: 4_002 + offset,
    schedulerEtcdClient: 4_003 + offset,
    schedulerEtcdPeer: 4_004 + offset,
    zipkin: 9411 + offset,
    smtp: 1025 + offset,
    mailWeb: 8025 + offset,
    grpc,
    operator: 8079 + offset,
  };
}

/** What speaks no HTTP. Everything else is asked by `fetch` or a browser. */
const NOT_HTTP: readonly (keyof Ports)[] = [
  'redis',
  'nats',
  'postgres',
  'consulServer',
  'consulGossip',
  'scheduler',
  'schedulerEtcdClient',
  'schedulerEtcdPeer',
  'smtp',
  'grpc',
];

/** Ports from 1024 that `fetch` and browsers refuse: https://fetch.spec.whatwg.org/#port-blocking. */
export const REFUSED_BY_FETCH: ReadonlySet<number> = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
  10080,
]);

export interface SystemPort {
  /** Whose port it is. */
  name: string;
  port: number;
  /** Whether it is asked by `fetch` or a browser. */
  isHttp: boolean;
}

/** Every port of a system whose ports are shifted by `offset`. */
export function systemPorts(offset: number, apps: readonly App[] = readTemplate().apps): SystemPort[] {
  const notHttp: readonly string[] = NOT_HTTP;
  return [
    ...Object.entries(portsAt(offset)).map(([name, port]) => ({
      name,
      port,
      isHttp: !notHttp.includes(name),
    })),
    ...apps.flatMap(({ appID, ...app }) => [
      { name: appID, port: app.appPort + offset, isHttp: true },
      { name: `${appID}'s sidecar`, port: app.daprHTTPPort + offset, isHttp: true },
      { name: `${appID}'s sidecar, metrics`, port: app.metricsPort + offset, isHttp: true },
      { name: `${appID}'s sidecar, gRPC`, port: app.daprGRPCPort + offset, isHttp: false },
      { name: `${appID}'s sidecar, internal gRPC`, port: app.daprInternalGRPCPort + offset, isHttp: false },
    ]),
  ];
}

/**
 * Why a system does not work with its ports shifted like this, and the next offset with which it does; beyond the largest, the
 * search goes on at 0. Undefined where it works.
 */
export function offsetProblem(
  offset: number,
  apps: readonly App[] = readTemplate().apps,
): { message: string; next: number | undefined } | undefined {
  const reason = reasonAgainst(offset, apps);
  if (reason === undefined) return undefined;
  const count = LARGEST_OFFSET + 1;
  const others = Array.from({ length: count - 1 }, (_, index) => (offset + 1 + index) % count);
  const next = others.find((other) => reasonAgainst(other, apps) === undefined);
  const advice = next === undefined ? 'no other offset works' : `use ${next} instead`;
  return { message: `does not work: ${reason}; ${advice}`, next };
}

function reasonAgainst(offset: number, apps: readonly App[]): string | undefined {
  const owners = new Map<number, string>();
  for (const { name, port, isHttp } of systemPorts(offset, apps)) {
    const other = owners.get(port);
    if (other !== undefined) return `${other} and ${name} would share port ${port}`;
    owners.set(port, name);
    if (isHttp && REFUSED_BY_FETCH.has(port))
      return `${name} would get port ${port}, which fetch and browsers block`;
  }
  return undefined;
}

/** Whether something listens there. */
export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const answer = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/** Whether a program of ours could listen there. An outgoing connection of another program holds its port, too. */
async function isFree(port: number): Promise<boolean> {
  // On macOS one may listen at 127.0.0.1 beside somebody who listens at all addresses.
  if (await isTaken(port)) return false;
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A program that is just ending has its port for so long at most. */
const PATIENCE_MS = 5_000;
/** And the kernel, for a connection that is over. */
const CLOSING_MS = 65_000;

/**
 * Waits for a moment where the port is held.
 *
 * @throws Error that says which port is taken, by whom, and what to do
 */
export async function demandFree(port: number, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const begun = performance.now();
  const waitedMs = () => performance.now() - begun;
  let isSaid = false;
  while (!(await isFree(port))) {
    if (waitedMs() < patienceMs) {
      await delay(100);
      continue;
    }
    if (waitedMs() > CLOSING_MS || !isClosing(port))
      throw new Error(
        `Port ${port} (${what}) is in use by ${holderOf(port) ?? 'another program'}. ` +
          `Stop that program, or shift all ports of Sidecart: PORT_OFFSET=1000 npm start`,
      );
    if (!isSaid)
      console.log(`Port ${port} (${what}) is held by a closed connection. Waiting up to one minute ...`);
    isSaid = true;
    await delay(1_000);
  }
}

/** @throws Error as `demandFree`, for the first of the services' and sidecars' ports that stays taken */
export async function demandFreeForServices(offset: number): Promise<void> {
  const around: readonly string[] = Object.keys(portsAt(offset));
  const isTheirs = (name: string) => ['grpc', 'operator'].includes(name) || !around.includes(name);
  const theirs = systemPorts(offset).filter(({ name }) => isTheirs(name));
  await Promise.all(theirs.map(({ port, name }) => demandFree(port, name)));
}
