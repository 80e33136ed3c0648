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
const PASSING = { sidecar: 'passing', service: 'passing' };

/** What Consul says of each sidecar, by its service and the port of its HTTP API: `orders 15583`. */
async function catalogue(): Promise<Record<string, Record<string, string>>> {
  const response = await ask('/v1/health/state/any');
  const found: Record<string, Record<string, string>> = {};
  for (const { ServiceID, Name, Status } of checks.parse(await response.json()))
    if (ServiceID) (found[ServiceID.replace('-127.0.0.1-', ' ')] ??= {})[Name] = Status;
  return found;
}

const nameOf = (name: string) => `${name.replace(/-\d+$/, '')} ${system.app(name).daprHttpPort}`;

/** Asks what Consul says of a replica. */
const entryOf = (name: string) => async () => (await catalogue())[nameOf(name)];
const SOON = { timeout: 20_000, interval: 50 };

/** Each is taken at once: every second one would wait for five seconds and fail, if a replica that is away were found. */
async function takeOrders(): Promise<() => Promise<void>> {
  const customer = await registerCustomer(system.urls.api);
  // The sidecars hear of a change a moment after it.
  const placed = [await placeOrderWithRetry(customer)];
  for (let count = 0; count < 15; count++) placed.push(await placeOrder(customer));
  return async () => {
    for (const { orderId } of placed) await waitForStatus(customer, orderId, 'DELIVERED', 40_000);
  };
}

describe('Consul in place of a file of names', () => {
  it('When the system has started, then every sidecar has entered itself, and all checks pass', async () => {
    const known = await waitFor('all checks pass', catalogue, {
      until: (entries) =>
        Object.values(entries).every((entry) => Object.values(entry).every((status) => status === 'passing')),
    });
    expect(known).toEqual(Object.fromEntries(system.names.map((name) => [nameOf(name), PASSING])));
    expect(system.names).toHaveLength(readTemplate().apps.length + 1);
  });

  defineOrderFlowTests(() => system);

  it('When its sockets are listed, then only this machine reaches them', () => {
    const listeners = listenersOf(system.infrastructure('Consul').pid());
    expect(new Set(listeners.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']));
    const known = [ports.consul, ports.consulServer, ports.consulGossip];
    expect(new Set(listeners.map(({ port }) => port))).toEqual(new Set(known));
  });

  it('When a stranger asks without the token, then nothing is told and nothing is changed', async () => {
    expect(await (await ask('/v1/health/state/any', '')).json()).toEqual([]);
    const id = `orders-127.0.0.1-${system.app('orders').daprHttpPort}`;
    for (const token of ['', randomUUID()])
      expect((await ask(`/v1/agent/service/deregister/${id}`, token, 'PUT')).status).toBe(403);
    expect((await catalogue())[nameOf('orders')]).toEqual(PASSING);
  });

  it('When a sidecar is frozen, then its replica is left out until it goes on', async () => {
    const pid = system.app('orders-2').sidecar.pid();
    process.kill(pid, 'SIGSTOP');
    let delivered;
    try {
      await expect.poll(entryOf('orders-2'), SOON).toEqual({ ...PASSING, sidecar: 'critical' });
      delivered = await takeOrders();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect.poll(entryOf('orders-2'), SOON).toEqual(PASSING);
    await delivered();
  });

  it.each(['sidecar', 'service'] as const)(
    'When a %s is killed, then its replica is left out until it is back',
    async (half) => {
      const killed = system.app('orders-2')[half];
      await killed.stop('SIGKILL');
      await expect.poll(entryOf('orders-2'), SOON).toEqual({ ...PASSING, [half]: 'critical' });
      const delivered = await takeOrders();
      await killed.start();
      await expect.poll(entryOf('orders-2'), SOON).toEqual(PASSING);
      await delivered();
    },
  );

  it('When a sidecar ends, then it removes itself, and enters itself again when it starts', async () => {
    const { sidecar } = system.app('orders-2');
    await sidecar.stop();
    await expect.poll(entryOf('orders-2'), SOON).toBeUndefined();
    await sidecar.start();
    await expect.poll(entryOf('orders-2'), SOON).toEqual(PASSING);
  });

  it('When Consul is killed and starts again, then it knows all sidecars and orders go on', async () => {
    await system.infrastructure('Consul').stop('SIGKILL');
    await system.infrastructure('Consul').start();
    for (const name of system.names) await expect.poll(entryOf(name), SOON).toEqual(PASSING);
    const delivered = await takeOrders();
    await delivered();
  });
});
