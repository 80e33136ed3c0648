import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/history/app.ts';
import { ERASED_REASON, type Order } from '../../services/orders/contract.ts';
import { buildOrder as buildAnOrder } from '../support/orders.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ADA = randomUUID();
const BOB = randomUUID();
const JOB = `erase-reasons-${ADA}`;
const SECRET = 'my neighbour Bob has one';

let service: ServiceUnderTest;
/** The orders in `orders`, by id. */
let streams: Map<string, Order>;
let erased: string[];

beforeEach(async () => {
  streams = new Map();
  erased = [];
  service = await startService((deps) => createApp({ ...deps, now: () => new Date() }));
  service.sidecar.answer('orders', ({ method, path }) => {
    if (method === 'GET') {
      const ids = new URL(path, 'http://orders').searchParams.get('ids')?.split(',') ?? [];
      return { status: 200, body: { items: ids.map((id) => streams.get(id)), next_cursor: null } };
    }
    const id = path.split('/')[2] ?? '';
    erased.push(id);
    const order = { ...streams.get(id)!, reason: ERASED_REASON };
    streams.set(id, order);
    return { status: 200, body: order };
  });
});
afterEach(() => service.stop());

/** Creates an order in `orders`, of which `history` has the version `known`. */
async function createKnownOrder(more: Partial<Order>, known: Partial<Order> = more): Promise<string> {
  const order = buildAnOrder({ customer_id: ADA, ...more });
  streams.set(order.order_id, order);
  expect(await service.deliver('order.created', { order: { ...order, reason: undefined, ...known } })).toBe(
    'SUCCESS',
  );
  return order.order_id;
}
const cancelled = { status: 'CANCELLED', version: 2, reason: SECRET } as const;
const deleted = () => service.deliver('user.deleted', { user_id: ADA, version: 2 });
const stored = () => JSON.stringify([...service.sidecar.documents]);

/** Runs the job until it has ended. Returns the number of runs. */
async function runJob(): Promise<number> {
  let ticks = 0;
  for (; service.sidecar.jobs.has(JOB); ticks++) expect(await service.triggerJob(JOB)).toBe(200);
  return ticks;
}

describe('the erasure of an account', () => {
  it('When it is deleted, then its reasons are erased from the streams and the read model', async () => {
    const id = await createKnownOrder(cancelled);
    expect(await deleted()).toBe('SUCCESS');
    await runJob();
    expect(erased).toEqual([id]);
    expect(stored()).not.toContain(SECRET);
    const { body } = await service.http.get('/api/admin/orders').set(asCaller(BOB, 'admin'));
    expect((body as { items: Order[] }).items).toMatchObject([
      { status: 'CANCELLED', reason: ERASED_REASON },
    ]);
  });

  it('When others cancelled, or orders ended otherwise, then those orders are unchanged', async () => {
    const other = await createKnownOrder({ ...cancelled, customer_id: BOB });
    await createKnownOrder({ status: 'REJECTED', version: 2, reason: 'sold out' });
    await createKnownOrder({});
    await deleted();
    await runJob();
    expect([erased, streams.get(other)?.reason]).toEqual([[], SECRET]);
  });

  it('When a cancelled order is still open in the read model, then its stream identifies it', async () => {
    const id = await createKnownOrder(cancelled, { status: 'PENDING', version: 1 });
    await deleted();
    await runJob();
    expect(erased).toEqual([id]);
    // The late event still has the reason.
    const order = { ...streams.get(id)!, reason: SECRET };
    expect(await service.deliver('order.cancelled', { order })).toBe('SUCCESS');
    expect(stored()).not.toContain(SECRET);
  });

  it('When there are many orders, then each tick processes one page, and none twice', async () => {
    await Promise.all(Array.from({ length: 45 }, () => createKnownOrder(cancelled)));
    await deleted();
    expect(await runJob()).toBe(3);
    expect([new Set(erased).size, erased.length]).toEqual([45, 45]);
    expect([...service.sidecar.documents.keys()].filter((key) => key.startsWith('erasure'))).toEqual([]);
  });

  it('When there is no order, then the job ends', async () => {
    await deleted();
    expect(await runJob()).toBe(1);
  });

  it('When orders is unavailable, then the job runs again', async () => {
    await createKnownOrder(cancelled);
    await deleted();
    service.sidecar.answer('orders', () => ({ status: 500 }));
    expect(await service.triggerJob(JOB)).toBe(503);
    expect(service.sidecar.jobs.has(JOB)).toBe(true);
  });

  it('When the stream was erased before the read model, then the next tick erases the read model', async () => {
    const id = await createKnownOrder(cancelled);
    await deleted();
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write') throw new Error('it ended here');
    });
    expect(await service.triggerJob(JOB)).toBe(503);
    service.sidecar.onStateCall(() => {});
    await runJob();
    expect(erased).toEqual([id]);
    expect(stored()).not.toContain(SECRET);
  });

  it('When the event is redelivered, then the orders are checked again and nothing is erased twice', async () => {
    await createKnownOrder(cancelled);
    for (let times = 0; times < 2; times++) {
      await deleted();
      await runJob();
    }
    expect(erased).toHaveLength(1);
  });

  it('When no job can be scheduled, then the event is redelivered', async () => {
    service.sidecar.fail('schedule');
    expect(await deleted()).toBe('RETRY');
    expect(await deleted()).toBe('SUCCESS');
  });
});
