import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/fulfilment/app.ts';
import {
  shipmentDeliveredData,
  shipmentDispatchedData,
  shipmentStoppedData,
} from '../../services/fulfilment/contract.ts';
import { trackingNumber, type Shipment } from '../../services/fulfilment/domain/shipment.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ORDER = '019b0000-0000-7000-8000-000000000001';
const TRACKING = trackingNumber(ORDER);
const DISPATCH_AFTER = 2_000;
const DELIVER_AFTER = 3_000;

let clock: number;
let monotonicMs: number;
let service: ServiceUnderTest;

beforeEach(async () => {
  clock = Date.parse('2026-01-01T10:00:00Z');
  monotonicMs = 0;
  service = await startService((deps) =>
    createApp({
      ...deps,
      delays: () => ({ dispatchAfterMs: DISPATCH_AFTER, deliverAfterMs: DELIVER_AFTER }),
      now: () => new Date(clock),
      clock: () => monotonicMs,
    }),
  );
});
afterEach(() => service.stop());

const order = {
  order_id: ORDER,
  customer_id: '019b0000-0000-7000-8000-0000000000c1',
  status: 'PAID',
  items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 2500 }],
  total: 2500,
  currency: 'EUR',
  version: 3,
  created_at: '2026-01-01T09:00:00Z',
  updated_at: '2026-01-01T09:00:00Z',
};
const paid = () => service.deliver('order.paid', { order });
const shipped = () => service.deliver('order.shipped', { order: { ...order, status: 'SHIPPED' } });
const stop = (reason: unknown = 'changed my mind') =>
  service.http.post(`/shipments/${ORDER}/stop`).send({ reason });

/** Lets time pass, and the service look for shipments that are due. */
async function sweepAfter(ms: number): Promise<void> {
  clock += ms;
  monotonicMs += ms;
  expect(await service.sweep()).toBe(200);
}
const isWatched = () => service.workList().includes(ORDER);
const status = () =>
  (service.sidecar.documents.get(`shipment:${ORDER}`)?.value as Shipment | undefined)?.status;
const types = () => service.sidecar.published.map(({ type }) => type);

async function dispatched(): Promise<void> {
  await paid();
  await sweepAfter(DISPATCH_AFTER);
}
async function delivered(): Promise<void> {
  await dispatched();
  await sweepAfter(DELIVER_AFTER);
}

describe('shipping', () => {
  it('When an order is paid, then its shipment is prepared', async () => {
    expect([await paid(), status(), types()]).toEqual(['SUCCESS', 'PREPARING', []]);
  });

  it('When an order is paid, then its shipment is created without a read', async () => {
    const calls: string[] = [];
    service.sidecar.onStateCall(({ op }) => void calls.push(op));
    await paid();
    // The read is that of the work list.
    expect(calls).toEqual(['read', 'write']);
  });

  it('When an order is paid again in any status, then the stored shipment decides', async () => {
    for (const advance of [paid, () => sweepAfter(DISPATCH_AFTER), () => sweepAfter(DELIVER_AFTER)]) {
      await advance();
      const before = status();
      expect([await paid(), status()]).toEqual(['SUCCESS', before]);
    }
    expect(types().at(-1)).toBe('shipment.delivered');
  });

  it('When an order is paid, then the same transaction puts its shipment on the work list', async () => {
    const writes: string[][] = [];
    service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys)));
    await paid();

    expect(writes).toEqual([[`shipment:${ORDER}`, expect.stringMatching(/^worklist:/)]]);
    expect(isWatched()).toBe(true);
  });

  it('When a step is not due, then nothing changes', async () => {
    await paid();
    await sweepAfter(DISPATCH_AFTER - 1);
    expect(status()).toBe('PREPARING');
    await sweepAfter(1);
    await sweepAfter(DELIVER_AFTER - 1);

    expect([status(), isWatched()]).toEqual(['DISPATCHED', true]);
  });

  it('When the parcel is packed, then shipment.dispatched has its tracking number', async () => {
    await dispatched();

    const [event] = service.publishedEvents('shipment.dispatched');
    expect(shipmentDispatchedData.parse(event?.data)).toEqual({ order_id: ORDER, tracking_number: TRACKING });
  });

  it('When the parcel arrives, then shipment.delivered is published', async () => {
    await delivered();

    const [event] = service.publishedEvents('shipment.delivered');
    expect(shipmentDeliveredData.parse(event?.data).order_id).toBe(ORDER);
  });

  it.each([
    ['received', true, true],
    ['not received', false, undefined],
  ])(
    'When it is %s that the order was shipped, then the delivery event states that',
    async (_what, isReceived, says) => {
      await dispatched();
      if (isReceived) await shipped();
      await sweepAfter(DELIVER_AFTER);

      expect(
        shipmentDeliveredData.parse(service.publishedEvents('shipment.delivered')[0]?.data).shipped_heard,
      ).toBe(says);
    },
  );

  it('When the parcel arrives, then the shipment leaves the work list', async () => {
    await delivered();

    expect([status(), isWatched()]).toEqual(['DELIVERED', false]);
  });

  it('When the parcel arrives, then the metrics have counted each status once', async () => {
    await delivered();
    await paid();

    const { text } = await service.http.get('/metrics');
    expect(text.match(/^shipment_transitions_total.*$/gm)?.sort()).toEqual([
      'shipment_transitions_total{status="DELIVERED"} 1',
      'shipment_transitions_total{status="DISPATCHED"} 1',
      'shipment_transitions_total{status="PREPARING"} 1',
      'shipment_transitions_total{status="STOPPED"} 0',
    ]);
  });

  it('When the event does not parse, then it is dropped and nothing is prepared', async () => {
    const answer = await service.deliver('order.paid', { order: { ...order, order_id: 'x' } });

    expect([answer, service.sidecar.documents.size]).toEqual(['DROP', 0]);
  });
});

describe('duplicate and late messages', () => {
  it('When order.paid is redelivered while PREPARING, then nothing changes', async () => {
    await paid();
    await paid();

    expect([status(), service.workList(), types()]).toEqual(['PREPARING', [ORDER], []]);
  });

  it('When order.paid is redelivered after the dispatch, then the event is republished', async () => {
    await dispatched();
    clock += DELIVER_AFTER - 1;
    await paid();

    const [first, second] = service.sidecar.published;
    expect([second, service.workList()]).toEqual([first, [ORDER]]);
  });

  it('When order.paid is redelivered after the delivery, then shipment.delivered is republished', async () => {
    await delivered();
    await paid();

    expect([types().slice(1), isWatched()]).toEqual([['shipment.delivered', 'shipment.delivered'], false]);
  });

  it('When two entries lead to the dispatch, then the parcel is not delivered early', async () => {
    await dispatched();
    service.addDue(ORDER);
    await sweepAfter(0);

    expect([status(), types()]).toEqual(['DISPATCHED', ['shipment.dispatched', 'shipment.dispatched']]);
  });

  it('When a crash leaves the entry of a parcel that has arrived, then shipment.delivered is republished', async () => {
    await delivered();
    service.addDue(ORDER);
    await sweepAfter(0);

    const [, first, second] = service.sidecar.published;
    expect(second).toEqual(first);
  });

  it('When order.paid comes five times at once, then one shipment is prepared', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, paid));

    const { text } = await service.http.get('/metrics');
    expect([new Set(answers), text.includes('shipment_transitions_total{status="PREPARING"} 1')]).toEqual([
      new Set(['SUCCESS']),
      true,
    ]);
  });

  it('When an entry has no shipment, then it leaves the work list', async () => {
    service.addDue(ORDER);
    await sweepAfter(0);

    expect([isWatched(), status()]).toEqual([false, undefined]);
  });
});

describe('order.shipped', () => {
  it('When it follows the dispatch, then nothing changes', async () => {
    await dispatched();
    await shipped();

    expect([types(), status()]).toEqual([['shipment.dispatched'], 'DISPATCHED']);
  });

  it('When it is redelivered after the delivery is due, then the parcel is delivered although nothing sweeps', async () => {
    await dispatched();
    clock += DELIVER_AFTER;
    await shipped();

    expect(status()).toBe('DELIVERED');
    expect(types()).toEqual(['shipment.dispatched', 'shipment.delivered']);
  });

  it.each([
    ['soon', 0, []],
    ['rather soon', 29_999, []],
    ['late', 30_000, ['shipment.delivered']],
    ['by a clock that is behind', -1, ['shipment.delivered']],
  ])(
    'When it echoes the dispatch %s after the delivery, then the delivery event may have been lost',
    async (_when, after, published) => {
      await delivered();
      const echo = {
        ...order,
        status: 'SHIPPED',
        tracking_number: TRACKING,
        updated_at: new Date(clock - after).toISOString(),
      };
      await service.deliver('order.shipped', { order: echo });

      expect(types().slice(2)).toEqual(published);
    },
  );

  it.each([
    ['is being prepared', () => paid()],
    ['was stopped', () => stop()],
    ['is not known', () => Promise.resolve()],
  ])(
    'When the parcel %s, then it counts as dispatched by an administrator and is delivered later',
    async (_what, arrange) => {
      await arrange();
      await shipped();
      expect(isWatched()).toBe(true);
      await sweepAfter(DELIVER_AFTER);
      await sweepAfter(DELIVER_AFTER);

      expect([status(), types().at(-1)]).toEqual(['DELIVERED', 'shipment.delivered']);
    },
  );
});

describe('stopping', () => {
  it('When the parcel is being prepared, then it is stopped', async () => {
    await paid();
    const response = await stop();

    expect([response.status, response.body, status()]).toEqual([200, { status: 'STOPPED' }, 'STOPPED']);
  });

  it('When the parcel is stopped, then shipment.stopped has the reason', async () => {
    await paid();
    await stop();

    const [event] = service.publishedEvents('shipment.stopped');
    expect(shipmentStoppedData.parse(event?.data)).toEqual({ order_id: ORDER, reason: 'changed my mind' });
  });

  it('When the request is repeated, then the response and the event are the same', async () => {
    await paid();
    const answers = [await stop(), await stop('another reason')];

    const [first, second] = service.sidecar.published;
    expect([answers[1]?.body, second]).toEqual([answers[0]?.body, first]);
  });

  it.each([
    ['has left', dispatched],
    ['has arrived', delivered],
  ])('When the parcel %s, then the response is 409 and nothing is published', async (_what, arrange) => {
    await arrange();
    const published = types();
    const response = await stop();

    expect([response.status, response.body, types()]).toMatchObject([
      409,
      { type: 'urn:sidecart:problem:already-dispatched' },
      published,
    ]);
  });

  it('When order.paid arrives after the stop, then nothing ships and shipment.stopped is republished', async () => {
    await stop();
    await paid();

    expect([status(), isWatched(), types()]).toEqual([
      'STOPPED',
      false,
      ['shipment.stopped', 'shipment.stopped'],
    ]);
  });

  it('When publishing fails, then the next sweep publishes', async () => {
    await paid();
    service.sidecar.fail('publish');
    const response = await stop();
    await sweepAfter(DISPATCH_AFTER);

    expect([response.status, types(), isWatched()]).toEqual([503, ['shipment.stopped'], false]);
  });

  it('When the stop is saved while a sweep decides, then the sweep loses and nothing ships', async () => {
    await paid();
    const { documents } = service.sidecar;
    const get = documents.get.bind(documents);
    documents.get = (key) => {
      const read = get(key);
      if (!key.startsWith('shipment:')) return read;
      documents.get = get;
      const stopped = { ...(read?.value as Shipment), status: 'STOPPED' };
      documents.set(key, { value: stopped, etag: 'of another writer' });
      return read;
    };
    await sweepAfter(DISPATCH_AFTER);

    expect([status(), types(), isWatched()]).toEqual(['STOPPED', ['shipment.stopped'], false]);
  });

  it('When it races the dispatch, then exactly one of them succeeds', async () => {
    await paid();
    const [response] = await Promise.all([stop(), sweepAfter(DISPATCH_AFTER)]);

    expect([response.status, status(), new Set(types())]).toEqual(
      response.status === 200
        ? [200, 'STOPPED', new Set(['shipment.stopped'])]
        : [409, 'DISPATCHED', new Set(['shipment.dispatched'])],
    );
  });

  it.each([
    ['no reason', `/shipments/${ORDER}/stop`, {}, 422],
    ['a wrong reason', `/shipments/${ORDER}/stop`, { reason: 1 }, 422],
    ['an unknown field', `/shipments/${ORDER}/stop`, { reason: 'x', force: true }, 422],
    ['a malformed id', '/shipments/1/stop', { reason: 'x' }, 404],
    ['an id that is a path', '/shipments/%2e%2e%2fx/stop', { reason: 'x' }, 404],
  ])('When it comes with %s, then nothing is stopped', async (_what, path, body, expected) => {
    await paid();
    const response = await service.http.post(path).send(body);

    expect([response.status, status(), types()]).toEqual([expected, 'PREPARING', []]);
  });
});

describe('a clock that is set', () => {
  const HOUR = 3_600_000;

  it('When the clock was an hour fast at the dispatch, then the parcel is delivered on time', async () => {
    await paid();
    await sweepAfter(0);
    clock += HOUR;
    await sweepAfter(DISPATCH_AFTER);
    clock -= HOUR;
    await sweepAfter(DELIVER_AFTER);
    expect([status(), isWatched()]).toEqual(['DELIVERED', false]);
  });

  it('When the clock was an hour fast and nothing sweeps, then a redelivered message ships and delivers', async () => {
    clock += HOUR;
    await paid();
    clock -= HOUR;
    await paid();
    expect(status()).toBe('DISPATCHED');
    clock += DELIVER_AFTER;
    await paid();
    expect(status()).toBe('DELIVERED');
  });
});

describe('an unavailable scheduler', () => {
  it('When a parcel is prepared and stopped, then both succeed, because no request calls the scheduler', async () => {
    service.sidecar.fail('schedule', 1_000);
    expect([await paid(), (await stop()).status, types()]).toEqual(['SUCCESS', 200, ['shipment.stopped']]);
  });
});

describe('crashes', () => {
  it('When the state fails while preparing, then the redelivered order.paid prepares', async () => {
    service.sidecar.fail('state');

    expect([await paid(), await paid(), status(), isWatched()]).toEqual([
      'RETRY',
      'SUCCESS',
      'PREPARING',
      true,
    ]);
  });

  it('When publishing fails while dispatching, then a sweep repeats it', async () => {
    await paid();
    service.sidecar.fail('publish');
    await sweepAfter(DISPATCH_AFTER);
    expect([status(), types(), isWatched()]).toEqual(['DISPATCHED', [], true]);
    await sweepAfter(1_000);

    expect(types()).toEqual(['shipment.dispatched']);
  });

  it('When publishing fails while delivering, then a sweep repeats it', async () => {
    await dispatched();
    service.sidecar.fail('publish');
    await sweepAfter(DELIVER_AFTER);
    expect([status(), isWatched()]).toEqual(['DELIVERED', true]);
    await sweepAfter(1_000);

    expect([types(), isWatched()]).toEqual([['shipment.dispatched', 'shipment.delivered'], false]);
  });

  it.each([1, 2, 3, 4])(
    'When call %d of a sweep to the state fails, then the next sweep dispatches',
    async (call) => {
      await paid();
      await sweepAfter(0);
      let calls = 0;
      service.sidecar.onStateCall(() => {
        calls += 1;
        if (calls === call) throw new Error('the store is unavailable');
      });
      clock += DISPATCH_AFTER;
      monotonicMs += DISPATCH_AFTER;
      await service.sweep();
      service.sidecar.onStateCall(() => {});
      await sweepAfter(1_000);

      expect([status(), types().at(-1), isWatched()]).toEqual(['DISPATCHED', 'shipment.dispatched', true]);
    },
  );
});

describe('DELETE /shipments/:order_id/reason', () => {
  const erase = (orderId = ORDER) => service.http.delete(`/shipments/${orderId}/reason`);
  const stored = () => service.sidecar.documents.get(`shipment:${ORDER}`)?.value as Shipment;

  it('When a parcel was stopped, then its reason is erased and it stays stopped', async () => {
    await paid();
    await stop();
    const { reason, ...before } = stored();
    expect(reason).toBe('changed my mind');
    expect([(await erase()).status, (await erase()).status]).toEqual([204, 204]);
    expect(stored()).toEqual(before);
  });

  it('When the shipment is unknown, then nothing is saved', async () => {
    expect((await erase()).status).toBe(204);
    expect(service.sidecar.documents.size).toBe(0);
  });

  it('When the id is malformed, then the response is 404', async () => {
    expect((await erase('nonsense')).status).toBe(404);
  });
});
