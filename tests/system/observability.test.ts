import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { externalMetrics } from '../../deploy/observability/metrics-table.ts';
import { COMMON_METRICS } from '../../services/shared/telemetry/common-metrics.ts';
import { SERVICES } from '../../services/services.ts';
import { panelQueries } from '../support/dashboards.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { askPrometheus, hasNumber, valuesOf } from '../support/prometheus.ts';
import { publishUnprocessable } from '../support/real-sidecar.ts';
import { getOrder, registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { waitFor } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-observability-'));

let system: RunningSystem;
let customer: Caller;
beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.observability,
    observability: true,
    env: {
      gateway: NO_RATE_LIMITS,
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '1000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '500' },
    },
  });
  customer = await registerCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const ask = <T>(path: string, parameters?: Record<string, string>) =>
  askPrometheus<T>(system.urls.prometheus, path, parameters);
const values = (query: string) => valuesOf(system.urls.prometheus, query);

/** Orders of every kind: delivered and returned, declined, rejected, cancelled, and one whose payment is redelivered. */
async function placeAllKinds(): Promise<void> {
  await publishUnprocessable(system.app('payments'), randomUUID());
  const [delivered, declined, rejected, cancelled, redelivered] = await Promise.all([
    placeOrder(customer),
    placeOrder(customer, { card: 'tok_chargeDeclined' }),
    placeOrder(customer, { product: 'print-signed', quantity: 9 }),
    placeOrder(customer),
    placeOrder(customer, { card: 'tok_flaky' }),
  ]);
  await waitForStatus(customer, cancelled.orderId, 'PAID');
  await customer.call('POST /api/orders/:id/cancel', { params: { id: cancelled.orderId } });
  await waitForStatus(customer, declined.orderId, 'PAYMENT_FAILED');
  await waitForStatus(customer, rejected.orderId, 'REJECTED');
  await waitForStatus(customer, delivered.orderId, 'DELIVERED', 40_000);
  await waitForStatus(customer, redelivered.orderId, 'DELIVERED', 60_000);
  const { items } = await getOrder(customer, delivered.orderId);
  const returned = items.map(({ product_id }) => ({ product_id, quantity: 1 }));
  await customer.call('POST /api/orders/:id/returns', {
    params: { id: delivered.orderId },
    body: { items: returned, reason: 'it does not fit' },
  });
}

describe('a system with Prometheus', () => {
  it(
    'has all targets and rules, and every query of every panel returns numbers',
    { timeout: 240_000 },
    async () => {
      let missing = panelQueries('orders');
      // A rate needs two samples, and the share of bad events is recorded every half a minute.
      const deadline = performance.now() + 150_000;
      while (missing.length > 0 && performance.now() < deadline) {
        await placeAllKinds();
        const found = await Promise.all(
          missing.map(async ({ expr }) => (await values(expr)).some(hasNumber)),
        );
        missing = missing.filter((_, position) => !found[position]);
      }
      expect(missing).toEqual([]);

      const { activeTargets } = await ask<{ activeTargets: { health: string; lastError: string }[] }>(
        'targets',
      );
      expect(activeTargets).toHaveLength(2 * SERVICES.length);
      expect(activeTargets.filter(({ health }) => health !== 'up')).toEqual([]);
      type Rule = { name: string; health: string; lastError?: string };
      const { groups } = await ask<{ groups: { rules: Rule[] }[] }>('rules');
      expect(groups.flatMap(({ rules }) => rules).filter(({ health }) => health !== 'ok')).toEqual([]);
    },
  );

  it('has every declared metric, and the metrics of others that alerts and panels use', async () => {
    const names = new Set(await ask<string[]>('label/__name__/values'));
    const declared = SERVICES.flatMap(({ metrics = {} }) => Object.values(metrics));
    const expected = [...Object.values(COMMON_METRICS), ...declared].map(({ name, type }) =>
      type === 'histogram' ? `${name}_bucket` : name,
    );
    expect(
      [...expected, ...externalMetrics().map(({ name }) => name)].filter((name) => !names.has(name)),
    ).toEqual([]);
  });

  it('fires the alert of a dead letter, and none that wakes somebody', async () => {
    const fired = await waitFor('the alert', () => values('ALERTS{alertstate="firing"}'), {
      until: (found) => found.some(({ metric }) => metric['alertname'] === 'DeadLetters'),
    });
    expect(fired.filter(({ metric }) => metric['severity'] === 'page')).toEqual([]);
  });

  it('leads from the duration of an order to its trace', async () => {
    const { traceId } = await placeOrder(customer);
    const query = 'request_duration_seconds_bucket{service="gateway",route="/api/orders"}';
    type Found = { exemplars: { labels: { trace_id: string } }[] }[];
    const tracesOf = (found: Found) =>
      found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
    const exemplars = await waitFor(
      'the exemplar',
      () => {
        const now = Date.now() / 1000;
        return ask<Found>('query_exemplars', { query, start: String(now - 300), end: String(now) });
      },
      { until: (found) => tracesOf(found).includes(traceId) },
    );
    expect(tracesOf(exemplars)).toContain(traceId);
  });

  it('drops nothing that Prometheus cannot read', async () => {
    for (const { name } of SERVICES) {
      const found = await values(`scrape_samples_scraped{service="${name}",job="services"}`);
      expect(Number(found[0]?.values.at(-1)?.[1])).toBeGreaterThan(60);
    }
  });
});
