import { createServer, request, type Server } from 'node:http';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { placeOrder, registerCustomer } from '../support/shop.ts';
import { openSqlite } from '../support/sqlite.ts';
import { waitFor } from '../support/wait.ts';

/** How long the second replica of `orders` leaves the health checks of its sidecar without an answer. */
const UNHEALTHY_MS = 12_000;
/** How long the sidecars wait for the file of their names: longer than Dapr's default of 800 ms. */
const LOCKED_MS = 2_000;
/** The distance from the port of a service to that of the proxy in front of it. */
const PROXY_DISTANCE = 5;

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-replicas-'));
let system: RunningSystem;
let proxy: Server | undefined;

/** Forwards requests to the service, but no health check of the first seconds. */
function startProxy(appPort: number): number {
  let healthyFrom: number | undefined;
  proxy = createServer((req, res) => {
    if (req.url === '/healthz') {
      healthyFrom ??= Date.now() + UNHEALTHY_MS;
      if (Date.now() < healthyFrom) return;
    }
    const { method, url: path, headers } = req;
    const forwarded = request({ port: appPort, host: '127.0.0.1', method, path, headers }, (response) => {
      res.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(res);
    });
    forwarded.on('error', () => res.destroy());
    req.pipe(forwarded);
  }).listen(appPort + PROXY_DISTANCE, '127.0.0.1');
  return appPort + PROXY_DISTANCE;
}

/** Locks the file in which sidecars register, as a slow disk does when all of them register at once. */
async function lockNames(sidecars: number): Promise<void> {
  const names = openSqlite(join(dataDir, 'names.db'));
  names.exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE');
  const logDir = join(dataDir, 'logs');
  const logs = () =>
    existsSync(logDir) ? readdirSync(logDir).filter((name) => name.endsWith('-sidecar.log')) : [];
  const isOpening = (name: string) => readFileSync(join(logDir, name), 'utf8').includes('names.db');
  await waitFor('all sidecars open the file', () => logs().filter(isOpening).length === sidecars);
  await delay(LOCKED_MS);
  names.close();
}

beforeAll(async () => {
  const starting = startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.replicas,
    replicas: { orders: 2 },
    env: { gateway: NO_RATE_LIMITS },
    portForSidecar: (name, appPort) => (name === 'orders-2' ? startProxy(appPort) : appPort),
  });
  [system] = await Promise.all([starting, lockNames(readTemplate().apps.length + 1)]);
});
afterAll(async () => {
  await system?.stop();
  proxy?.close();
  proxy?.closeAllConnections();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a system with replicas', () => {
  it('When it has started, then each replica accepts requests, even one that was late or waited for a lock', async () => {
    const customer = await registerCustomer(system.urls.api);
    for (let order = 0; order < 10; order++) expect((await placeOrder(customer)).orderId).toBeDefined();
  });
});
