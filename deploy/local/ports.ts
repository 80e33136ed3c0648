import { connect } from 'node:net';

/**
 * By how much all ports are shifted, from PORT_OFFSET.
 *
 * @throws Error where that is no such number
 */
export function portOffset(fallback = 0): number {
  const offset = Number(process.env['PORT_OFFSET'] ?? fallback);
  // The highest shifted port is Zipkin's; further up are those that the system gives to outgoing connections.
  if (Number.isInteger(offset) && offset >= 0 && offset <= 22_000) return offset;
  throw new Error(`PORT_OFFSET must be a whole number from 0 to 22000, not "${process.env['PORT_OFFSET']}".`);
}

/** The ports of what stands around the services; every port of a system is shifted by the same offset. */
export interface Ports {
  redis: number;
  nats: number;
  postgres: number;
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

/** @throws Error that says which port is taken and what to do */
export async function demandFree(port: number, what: string): Promise<void> {
  if (!(await isTaken(port))) return;
  throw new Error(
    `Port ${port} (${what}) is taken by another program. ` +
      `Stop that program, or shift all ports of Sidecart: PORT_OFFSET=1000 npm start`,
  );
}
