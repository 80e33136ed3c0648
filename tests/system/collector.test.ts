import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ensureFolder } from '../../deploy/local/machine/paths.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { SERVICES } from '../../services/services.ts';
import { startCollector } from '../support/collector.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { registerCustomer, placeOrder, waitForStatus } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

/** Services and sidecars report to a real OpenTelemetry Collector, which the standard variables name. */

const PORT = 4318 + PORT_OFFSETS.collector;
const RENAMED = 'read-side';

let system: RunningSystem;
let collector: Awaited<ReturnType<typeof startCollector>>;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-collector-'));

beforeAll(async () => {
  collector = await startCollector(PORT, ensureFolder(dataDir, 'logs'));
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${PORT}`);
  vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off');
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.collector,
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
      history: { OTEL_SERVICE_NAME: RENAMED },
    },
  });
});
afterAll(async () => {
  await system?.stop();
  await collector?.stop();
  vi.unstubAllEnvs();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a collector', () => {
  it('When an order is delivered, then spans of all services and sidecars arrive, and of no other trace', async () => {
    const customer = await registerCustomer(system.urls.api);
    const { orderId, traceId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'DELIVERED');
    const sources = () =>
      new Set(
        collector.spans
          .filter((span) => span.traceId === traceId)
          .map(({ service, isOfSidecar }) => `${service}${isOfSidecar ? "'s sidecar" : ''}`),
      );
    const names = SERVICES.map(({ name }) => (name === 'history' ? RENAMED : name));
    const wanted = names.flatMap((name) =>
      ['users', 'returns'].includes(name) ? [] : [name, `${name}'s sidecar`],
    );
    await waitFor(`spans from ${wanted.join(', ')}`, sources, {
      until: (found) => wanted.every((source) => found.has(source)),
      timeoutMs: 30_000,
    });
    // The sampler keeps no trace that the gateway begins, and every trace that a client has begun.
    const others = collector.spans.filter(
      (span) => span.traceId !== traceId && span.service === 'gateway' && !span.isOfSidecar,
    );
    expect(others).toEqual([]);
  });

  it.each([
    ['is frozen', () => process.kill(collector.process.pid, 'SIGSTOP')],
    ['is gone', () => collector.process.stop('SIGKILL')],
  ])('When it %s, then orders are delivered all the same', async (_, harm) => {
    await harm();
    const customer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(customer);
    expect((await waitForStatus(customer, orderId, 'DELIVERED')).version).toBe(5);
  });

  it(
    'When it stays unavailable, then a service reports it once per minute',
    { timeout: 150_000 },
    async () => {
      const reports = () =>
        readFileSync(join(system.logDir, 'orders.log'), 'utf8')
          .split('\n')
          .filter((line) => line.includes('exporting spans failed'))
          .map((line) => JSON.parse(line) as { time: string; suppressed: number });
      const customer = await registerCustomer(system.urls.api);
      const [first] = await waitFor('a report', reports, {
        until: ({ length }) => length > 0,
        timeoutMs: 30_000,
      });
      await placeOrder(customer);
      const almostNext = Date.parse(first!.time) + 55_000;
      await waitFor('55 seconds have passed', () => Date.now() > almostNext, { timeoutMs: 60_000 });
      expect(reports()).toHaveLength(1);
      await waitFor('five more seconds have passed', () => Date.now() > almostNext + 5_000);
      await placeOrder(customer);
      const [, second] = await waitFor('the next report', reports, { until: ({ length }) => length === 2 });
      expect(second?.suppressed).toBeGreaterThan(0);
    },
  );
});
