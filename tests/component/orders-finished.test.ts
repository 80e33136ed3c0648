import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import { orderListSchema, type Order } from '../../services/orders/contract.ts';
import type { OrderDocument } from '../../services/orders/store/order-store.ts';
import { slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T00:00:05.000Z';

let service: ServiceUnderTest;
beforeEach(async () => {
  service = await startService((deps) =>
    createApp({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now: () => new Date(LATER) }),
  );
});
afterEach(() => service.stop());

/** Creates a final order that the watchdog has not checked yet. */
function ended(): string {
  const order_id = randomUUID();
  const created = {
    customer_id: randomUUID(),
    items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 1200 }],
    total: 1200,
    currency: 'EUR',
  };
  const document: OrderDocument = {
    order_id,
    events: [
      { type: 'order.created', data: created, version: 1, time: TIME },
      { type: 'order.rejected', data: { reason: 'out of stock' }, version: 2, time: TIME },
    ],
    payment: { method: 'card', card_token: 'tok_visa' },
    request_hash: 'hash',
  };
  service.sidecar.documents.set(`order:${order_id}`, { value: document, etag: `first-${order_id}` });
  service.sidecar.jobs.set(`order-${order_id}`, { dueTime: '1s' });
  return order_id;
}

const look = async (orderId: string) =>
  (await service.http.post(`/job/order-${orderId}`).send({ watched_ms: '60000' })).status;
/** Creates a final order that the watchdog has checked. */
async function finished(): Promise<string> {
  const id = ended();
  expect(await look(id)).toBe(200);
  return id;
}

/** Puts orders on the list, in this order. */
function listed(count: number): string[] {
  const ids = Array.from({ length: count }, ended);
  service.sidecar.documents.set('index:finished', { value: { count }, etag: 'first-head' });
  service.sidecar.documents.set('index:finished:0', { value: ids, etag: 'first-page' });
  return ids;
}

interface Page {
  items: Order[];
  next_cursor: string | null;
}
async function list(query = ''): Promise<Page> {
  const response = await service.http.get(`/orders${query}`);
  expect(response.status).toBe(200);
  return orderListSchema.parse(response.body);
}
const idsOf = ({ items }: Page) => items.map(({ order_id }) => order_id);

describe('GET /orders', () => {
  it('When orders have ended, then they are listed with their last state, oldest first', async () => {
    const ids: string[] = [];
    while (ids.length < 3) ids.push(await finished());
    const page = await list();
    expect(idsOf(page)).toEqual(ids);
    expect(page).toMatchObject({
      items: [{ status: 'REJECTED', version: 2, reason: 'out of stock' }, {}, {}],
      next_cursor: null,
    });
    expect(JSON.stringify(page)).not.toContain('tok_');
  }, 20_000);

  it('When there are none, then the list is empty', async () => {
    expect(await list()).toEqual({ items: [], next_cursor: null });
    expect(await list('?cursor=500')).toEqual({ items: [], next_cursor: null });
  });

  it.each([1, 3, 4, 7, 8, 100])(
    'When the client follows pages of %d, then each order occurs once, in order',
    async (limit) => {
      const ids = listed(7);
      const seen: string[] = [];
      let cursor: string | null = '0';
      for (let pages = 0; cursor !== null && pages < 10; pages++) {
        const page: Page = await list(`?limit=${limit}&cursor=${cursor}`);
        seen.push(...idsOf(page));
        cursor = page.next_cursor;
      }
      expect([seen, cursor]).toEqual([ids, null]);
    },
  );

  it('When the list spans several documents of the store, then it is complete', async () => {
    const ids = Array.from({ length: 130 }, ended);
    await Promise.all(ids.map(look));
    const first = await list('?limit=90');
    const second = await list(`?limit=90&cursor=${first.next_cursor}`);
    const seen = [first, second].flatMap(idsOf);
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(second.next_cursor).toBeNull();
  });

  it('When orders end meanwhile, then they are at the end of the list', async () => {
    const ids = listed(2);
    const first = await list('?limit=2');
    ids.push(await finished());
    expect([...idsOf(first), ...idsOf(await list(`?limit=2&cursor=${first.next_cursor}`))]).toEqual(ids);
  });

  it('When ids are given, then the existing orders, final or not, are listed in that order', async () => {
    const [first, second] = [ended(), ended()];
    const page = await list(`?ids=${second},${randomUUID()},${first},${second}`);
    expect([idsOf(page), page.next_cursor]).toEqual([[second, first], null]);
  });

  it.each([
    ['cursor=-1', 'cursor'],
    ['cursor=next', 'cursor'],
    ['limit=101', 'limit'],
    ['limit=0', 'limit'],
    ['ids=x', 'ids.0'],
    [`ids=${Array.from({ length: 101 }, () => randomUUID()).join()}`, 'ids'],
  ])('When the query is %s, then the 400 names the parameter', async (query, field) => {
    const response = await service.http.get(`/orders?${query}`);
    expect([response.status, slugOf(response)]).toEqual([400, 'invalid-query']);
    expect(response.body).toMatchObject({ errors: [{ field }] });
  });
});

describe('the watchdog of an order that has ended', () => {
  it('When it runs, then it republishes the event, lists the order and only then ends', async () => {
    const [orderId] = [ended()];
    const steps: string[] = [];
    service.sidecar.onStateCall(({ op, keys }) => {
      if (op === 'write' && keys.includes('index:finished'))
        steps.push(
          `published ${service.publishedEvents('order.rejected').length}, watched ${service.sidecar.jobs.size}`,
        );
    });
    await look(orderId);
    expect(steps).toEqual(['published 1, watched 1']);
    expect(service.sidecar.jobs.size).toBe(0);
  });

  it('When publishing fails, then the order is not listed and the job remains', async () => {
    const orderId = ended();
    service.sidecar.fail('publish');
    expect(await look(orderId)).toBe(503);
    expect([(await list()).items, service.sidecar.jobs.size]).toEqual([[], 1]);
  });

  it('When listing fails, then the job remains, and the next run lists the order', async () => {
    const orderId = ended();
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write') throw new Error('the store is unavailable');
    });
    expect(await look(orderId)).toBe(503);
    expect(service.sidecar.jobs.size).toBe(1);
    service.sidecar.onStateCall(() => {});
    expect(await look(orderId)).toBe(200);
    expect([idsOf(await list()), service.sidecar.jobs.size]).toEqual([[orderId], 0]);
  });

  it('When two replicas check many orders, then all of them are listed', async () => {
    const other = service.createReplica();
    const ids = Array.from({ length: 40 }, ended);
    await Promise.all(
      ids.map((id, n) =>
        (n % 2 ? other : service.http).post(`/job/order-${id}`).send({ watched_ms: '60000' }),
      ),
    );
    for (const id of ids) if (service.sidecar.jobs.has(`order-${id}`)) await look(id);
    expect(new Set(idsOf(await list()))).toEqual(new Set(ids));
  });
});
