import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import { orderListSchema, type Order } from '../../services/orders/contract.ts';
import type { OrderDocument } from '../../services/orders/store/order-store.ts';
import { slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T00:00:05.000Z';

let service: ServiceUnderTest;
beforeEach(async () => {
  service = await startService((deps) =>
    createApp({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now: () => new Date(LATER) }),
  );
});
afterEach(() => service.stop());

/** Creates a final order that nothing watches. */
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
  return order_id;
}

/** Creates an order that ended, and that the watchdog has not checked yet. */
function watched(): string {
  const id = ended();
  service.addDue(id);
  return id;
}
/** Creates a final order that the watchdog has checked. */
async function finished(): Promise<string> {
  const id = watched();
  expect(await service.sweep()).toBe(200);
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
    const ids = Array.from({ length: 130 }, watched);
    await service.sweep();
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
  it('When it checks the order, then it republishes the event, and one transaction lists the order and ends the watch', async () => {
    watched();
    const steps: unknown[] = [];
    service.sidecar.onStateCall(({ op, keys }) => {
      if (op === 'write') steps.push([service.publishedEvents('order.rejected').length, keys]);
    });
    await service.sweep();
    expect(steps.at(-1)).toEqual([1, ['worklist:0', 'index:finished', 'index:finished:0']]);
    expect(service.workList()).toEqual([]);
  });

  it('When publishing fails, then the order stays watched', async () => {
    const orderId = watched();
    service.sidecar.fail('publish');
    await service.sweep();
    expect([service.workList(), service.sidecar.documents.has('index:finished')]).toEqual([[orderId], false]);
  });

  it('When listing fails, then the order stays watched, and the next sweep lists it', async () => {
    const orderId = watched();
    await service.sweep();
    service.addDue(orderId);
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write') throw new Error('the store is unavailable');
    });
    expect(await service.sweep()).toBe(503);
    expect(service.workList()).toEqual([orderId]);
    service.sidecar.onStateCall(() => {});
    expect(await service.sweep()).toBe(200);
    expect([idsOf(await list()), service.workList()]).toEqual([[orderId, orderId], []]);
  });

  it('When two replicas check many orders at once, then each is listed once', async () => {
    const other = service.createReplica();
    const ids = Array.from({ length: 200 }, watched);
    while (service.workList().length > 0)
      await Promise.all([service.sweep(), other.post('/job/sweep').send({})]);
    const pages = [await list('?limit=100'), await list('?limit=100&cursor=100')];
    expect(pages.flatMap(idsOf).toSorted()).toEqual(ids.toSorted());
  });

  it('When the scheduler is unavailable, then a replica checks the order by itself', async () => {
    const orderId = watched();
    service.sidecar.fail('schedule', 1_000);
    service.createReplica();
    await waitFor('the order is checked', service.workList, { until: (ids) => ids.length === 0 });
    expect(idsOf(await list())).toEqual([orderId]);
  });

  it('When the scheduler is available, then each replica schedules the one job', async () => {
    const job = () => service.sidecar.jobs.get('sweep');
    await waitFor('the job is scheduled', job, { until: (found) => found !== undefined });
    expect(job()).toMatchObject({ dueTime: '2000ms', schedule: '@every 2000ms' });
  });

  it('When orders are watched, then they are listed before the finished ones', async () => {
    const [first, ...finishedIds] = listed(3);
    const open = [watched(), watched()].toSorted();
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page: Page = await list(`?limit=1${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      seen.push(...idsOf(page));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual([...open, first, ...finishedIds]);
  });
});
