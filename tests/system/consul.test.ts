import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findOrCreateConsulToken } from '../../deploy/local/profiles/consul/profile.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { defineOrderFlowTests } from '../support/order-flows.ts';
import { registerCustomer, placeOrderWithRetry, placeOrder, waitForStatus } from '../support/shop.ts';
import { listenersOf } from '../support/sockets.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { waitFor } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-consul-'));
const PORT_OFFSET = PORT_OFFSETS.consul;
const ports = portsAt(PORT_OFFSET);

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSET,
    profile: 'consul',
    replicas: { orders: 2 },
    env: {
      gateway: NO_RATE_LIMITS,
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '5000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '300' },
    },
  });
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const ask = (path: string, token = findOrCreateConsulToken(dataDir), method = 'GET') =>
  fetch(`http://127.0.0.1:${ports.consul}${path}`, { method, headers: { 'x-consul-token': token } });

const checks = z.array(z.object({ ServiceID: z.string(), Name: z.string(), Status: z.string() }));
const PASSING_STATUS = { sidecar: 'passing', service: 'passing' };

/** The health of each sidecar in Consul, by service and HTTP port: `orders 15583`. */
async function catalogue(): Promise<Record<string, Record<string, string>>> {
  const response = await ask('/v1/health/state/any');
  const found: Record<string, Record<string, string>> = {};
  for (const { ServiceID, Name, Status } of checks.parse(await response.json()))
    if (ServiceID) (found[ServiceID.replace('-127.0.0.1-', ' ')] ??= {})[Name] = Status;
  return found;
}

const nameOf = (name: string) => `${name.replace(/-\d+$/, '')} ${system.app(name).daprHttpPort}`;

/** Reads the health of a replica in Consul. */
const entryOf = (name: string) => async () => (await catalogue())[nameOf(name)];
const SOON_MS = { timeout: 20_000, interval: 50 };

/** Each call has to succeed at once. With an unavailable replica, every second one would fail after five seconds. */
async function placeOrders(): Promise<() => Promise<void>> {
  const customer = await registerCustomer(system.urls.api);
  // The sidecars receive a change a moment later.
  const placed = [await placeOrderWithRetry(customer)];
  for (let count = 0; count < 15; count++) placed.push(await placeOrder(customer));
  return async () => {
    for (const { orderId } of placed) await waitForStatus(customer, orderId, 'DELIVERED', 40_000);
  };
}

describe('Consul instead of a name file', () => {
  it('When the system has started, then every sidecar is registered, and all checks pass', async () => {
    const known = await waitFor('all checks pass', catalogue, {
      until: (entries) =>
        Object.values(entries).every((entry) => Object.values(entry).every((status) => status === 'passing')),
    });
    expect(known).toEqual(Object.fromEntries(system.names.map((name) => [nameOf(name), PASSING_STATUS])));
    expect(system.names).toHaveLength(readTemplate().apps.length + 1);
  });

  defineOrderFlowTests(() => system);

  it('When its sockets are listed, then only this machine reaches them', () => {
    const listeners = listenersOf(system.infrastructure('Consul').pid());
    expect(new Set(listeners.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']));
    const known = [ports.consul, ports.consulServer, ports.consulGossip];
    expect(new Set(listeners.map(({ port }) => port))).toEqual(new Set(known));
  });

  it('When a client calls without the token, then it can neither read nor change anything', async () => {
    expect(await (await ask('/v1/health/state/any', '')).json()).toEqual([]);
    const id = `orders-127.0.0.1-${system.app('orders').daprHttpPort}`;
    for (const token of ['', randomUUID()])
      expect((await ask(`/v1/agent/service/deregister/${id}`, token, 'PUT')).status).toBe(403);
    expect((await catalogue())[nameOf('orders')]).toEqual(PASSING_STATUS);
  });

  it('When a sidecar is frozen, then its replica gets no calls until it continues', async () => {
    const pid = system.app('orders-2').sidecar.pid();
    process.kill(pid, 'SIGSTOP');
    let delivered;
    try {
      await expect.poll(entryOf('orders-2'), SOON_MS).toEqual({ ...PASSING_STATUS, sidecar: 'critical' });
      delivered = await placeOrders();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect.poll(entryOf('orders-2'), SOON_MS).toEqual(PASSING_STATUS);
    await delivered();
  });

  it.each(['sidecar', 'service'] as const)(
    'When a %s is killed, then its replica gets no calls until it is back',
    async (half) => {
      const killed = system.app('orders-2')[half];
      await killed.stop('SIGKILL');
      await expect.poll(entryOf('orders-2'), SOON_MS).toEqual({ ...PASSING_STATUS, [half]: 'critical' });
      const delivered = await placeOrders();
      await killed.start();
      await expect.poll(entryOf('orders-2'), SOON_MS).toEqual(PASSING_STATUS);
      await delivered();
    },
  );

  it('When a sidecar exits, then it deregisters itself, and registers again at its start', async () => {
    const { sidecar } = system.app('orders-2');
    await sidecar.stop();
    await expect.poll(entryOf('orders-2'), SOON_MS).toBeUndefined();
    await sidecar.start();
    await expect.poll(entryOf('orders-2'), SOON_MS).toEqual(PASSING_STATUS);
  });

  it('When Consul is killed and restarts, then it knows all sidecars and orders continue', async () => {
    await system.infrastructure('Consul').stop('SIGKILL');
    await system.infrastructure('Consul').start();
    for (const name of system.names) await expect.poll(entryOf(name), SOON_MS).toEqual(PASSING_STATUS);
    const delivered = await placeOrders();
    await delivered();
  });
});
