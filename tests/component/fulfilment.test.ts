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
const JOB = `shipment-${ORDER}`;
const TRACKING = trackingNumber(ORDER);
const DISPATCH_AFTER = 2_000;
const DELIVER_AFTER = 3_000;

let clock: number;
let service: ServiceUnderTest;

beforeEach(async () => {
  clock = Date.parse('2026-01-01T10:00:00Z');
  service = await startService((deps) =>
    createApp({
      ...deps,
      delays: () => ({ dispatchAfterMs: DISPATCH_AFTER, deliverAfterMs: DELIVER_AFTER }),
      now: () => new Date(clock),
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

/** Advances the clock to the due time of the job and runs it. */
async function tick(): Promise<number> {
  clock += Number.parseInt(job()?.dueTime ?? '0ms', 10);
  return service.triggerJob(JOB);
}
const status = () =>
  (service.sidecar.documents.get(`shipment:${ORDER}`)?.value as Shipment | undefined)?.status;
const job = () => service.sidecar.jobs.get(JOB);
const types = () => service.sidecar.published.map(({ type }) => type);

async function dispatched(): Promise<void> {
  await paid();
  await tick();
}
async function delivered(): Promise<void> {
  await dispatched();
  await tick();
}

describe('shipping', () => {
  it('When an order is paid, then its shipment is prepared', async () => {
    expect([await paid(), status(), types()]).toEqual(['SUCCESS', 'PREPARING', []]);
  });

  it('When an order is paid, then its shipment is created without a read', async () => {
    const calls: string[] = [];
    service.sidecar.onStateCall(({ op }) => void calls.push(op));
    await paid();
    expect(calls).toEqual(['write']);
  });

  it('When an order is paid again in any status, then the stored shipment decides', async () => {
    for (const advance of [paid, tick, tick]) {
      await advance();
      const before = status();
      expect([await paid(), status()]).toEqual(['SUCCESS', before]);
    }
    expect(types().at(-1)).toBe('shipment.delivered');
  });

  it('When an order is paid, then its job is scheduled, and repeats until it is deleted', async () => {
    await paid();

    expect(job()).toMatchObject({ dueTime: '2000ms', schedule: '@every 3s' });
  });

  it('When the parcel is packed, then shipment.dispatched has its tracking number', async () => {
    await dispatched();

    const [event] = service.publishedEvents('shipment.dispatched');
    expect(shipmentDispatchedData.parse(event?.data)).toEqual({ order_id: ORDER, tracking_number: TRACKING });
  });

  it('When the parcel is packed, then its delivery is scheduled', async () => {
    await dispatched();

    expect([status(), job()]).toMatchObject(['DISPATCHED', { dueTime: '3000ms', schedule: '@every 3s' }]);
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
      await tick();

      expect(
        shipmentDeliveredData.parse(service.publishedEvents('shipment.delivered')[0]?.data).shipped_heard,
      ).toBe(says);
    },
  );

  it('When the parcel arrives, then the job is deleted', async () => {
    await delivered();

    expect([status(), job()]).toEqual(['DELIVERED', undefined]);
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

    expect([answer, service.sidecar.documents.size, service.sidecar.jobs.size]).toEqual(['DROP', 0, 0]);
  });
});

describe('duplicate and late messages', () => {
  it('When order.paid is redelivered while PREPARING, then the job is scheduled again', async () => {
    await paid();
    service.sidecar.jobs.clear();
    await paid();

    expect([status(), job()?.dueTime, types()]).toEqual(['PREPARING', '2000ms', []]);
  });

  it('When order.paid is redelivered after the dispatch, then the event is republished and the job scheduled again', async () => {
    await dispatched();
    service.sidecar.jobs.clear();
    clock += DELIVER_AFTER - 1;
    await paid();

    const [first, second] = service.sidecar.published;
    expect([second, job()?.dueTime]).toEqual([first, '3000ms']);
  });

  it('When order.paid is redelivered after the delivery, then shipment.delivered is republished', async () => {
    await delivered();
    await paid();

    expect([types().slice(1), job()]).toEqual([['shipment.delivered', 'shipment.delivered'], undefined]);
  });

  it('When the dispatching tick is repeated, then the parcel is not delivered early', async () => {
    await dispatched();
    await service.triggerJob(JOB);

    expect([status(), types()]).toEqual(['DISPATCHED', ['shipment.dispatched', 'shipment.dispatched']]);
  });

  it('When the last tick is repeated, then shipment.delivered is the same', async () => {
    await delivered();
    await service.triggerJob(JOB);

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

  it('When a job runs for an unknown shipment, then it is deleted', async () => {
    service.sidecar.jobs.set(JOB, { dueTime: '1ms' });

    expect([await service.triggerJob(JOB), job(), status()]).toEqual([200, undefined, undefined]);
  });

  it.each(['shipment-x', 'shipment-', `other-${ORDER}`])(
    'When the job "%s" runs, then the response is 404, which the scheduler treats as done',
    async (name) => {
      expect(await service.triggerJob(name)).toBe(404);
    },
  );
});

describe('order.shipped', () => {
  it('When it follows the dispatch, then nothing changes', async () => {
    await dispatched();
    service.sidecar.jobs.clear();
    await shipped();

    expect([types(), job()]).toEqual([['shipment.dispatched'], undefined]);
  });

  it('When it is redelivered after the delivery is due, then the parcel is delivered although the job was lost', async () => {
    await dispatched();
    service.sidecar.jobs.clear();
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
      await tick();

      expect([status(), types().at(-1)]).toEqual(['DELIVERED', 'shipment.delivered']);
    },
  );
});

describe('stopping', () => {
  it('When the parcel is being prepared, then it is stopped', async () => {
    await paid();
    const response = await stop();

    expect([response.status, response.body, status(), job()]).toEqual([
      200,
      { status: 'STOPPED' },
      'STOPPED',
      undefined,
    ]);
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

    expect([status(), job(), types()]).toEqual([
      'STOPPED',
      undefined,
      ['shipment.stopped', 'shipment.stopped'],
    ]);
  });

  it('When publishing fails, then the next tick publishes and deletes the job', async () => {
    await paid();
    service.sidecar.fail('publish');
    const response = await stop();
    await tick();

    expect([response.status, types(), job()]).toEqual([503, ['shipment.stopped'], undefined]);
  });

  it('When the stop is saved while a tick decides, then the tick loses and nothing ships', async () => {
    await paid();
    const { documents } = service.sidecar;
    const get = documents.get.bind(documents);
    documents.get = (key) => {
      documents.get = get;
      const read = get(key);
      const stopped = { ...(read?.value as Shipment), status: 'STOPPED' };
      documents.set(key, { value: stopped, etag: 'of another writer' });
      return read;
    };
    await tick();

    expect([status(), types(), job()]).toEqual(['STOPPED', ['shipment.stopped'], undefined]);
  });

  it('When it races the dispatch, then exactly one of them succeeds', async () => {
    await paid();
    const [response] = await Promise.all([stop(), service.triggerJob(JOB)]);

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

  it('When the clock was an hour fast at the dispatch, then the next tick delivers', async () => {
    await paid();
    clock += HOUR;
    await tick();
    clock -= HOUR;
    await tick();
    expect([status(), job()]).toEqual(['DELIVERED', undefined]);
  });

  it('When the clock was an hour fast and the job is lost, then a redelivered message ships and delivers', async () => {
    clock += HOUR;
    await paid();
    clock -= HOUR;
    service.sidecar.jobs.clear();
    await paid();
    expect(status()).toBe('DISPATCHED');
    clock += DELIVER_AFTER;
    await paid();
    expect(status()).toBe('DELIVERED');
  });
});

describe('an unavailable scheduler', () => {
  it('When order.paid is redelivered until it succeeds, then the parcel still ships and arrives on time', async () => {
    service.sidecar.fail('schedule', 4);
    expect(await paid()).toBe('RETRY');
    expect(await paid()).toBe('RETRY');
    expect(status()).toBe('PREPARING');
    clock += DISPATCH_AFTER;
    expect(await paid()).toBe('RETRY');
    expect(status()).toBe('DISPATCHED');
    clock += DELIVER_AFTER;
    expect(await paid()).toBe('SUCCESS');
    expect(status()).toBe('DELIVERED');
    expect(types()).toEqual(['shipment.dispatched', 'shipment.delivered']);
  });

  it('When the shipment is stopped, then the stop succeeds, and the next tick deletes the job', async () => {
    await paid();
    service.sidecar.fail('schedule');
    expect([(await stop()).status, status(), types()]).toEqual([200, 'STOPPED', ['shipment.stopped']]);
    expect(job()).toBeDefined();
    await tick();
    expect(job()).toBeUndefined();
  });
});

describe('crashes', () => {
  it.each(['state', 'schedule'] as const)(
    'When the %s fails while preparing, then the redelivered order.paid prepares and schedules',
    async (capability) => {
      service.sidecar.fail(capability);
      const answers = [await paid(), await paid()];

      expect([answers, status(), job()?.dueTime]).toEqual([['RETRY', 'SUCCESS'], 'PREPARING', '2000ms']);
    },
  );

  it.each(['state', 'publish', 'schedule'] as const)(
    'When the %s fails while dispatching, then the job fails and its next tick dispatches',
    async (capability) => {
      await paid();
      service.sidecar.fail(capability);
      const answers = [await tick(), await service.triggerJob(JOB)];

      expect([answers, status(), types().at(-1), job()?.dueTime]).toEqual([
        [503, 200],
        'DISPATCHED',
        'shipment.dispatched',
        '3000ms',
      ]);
    },
  );

  it.each(['state', 'publish'] as const)(
    'When the %s fails while delivering, then the job fails and its next tick delivers',
    async (capability) => {
      await dispatched();
      service.sidecar.fail(capability);
      const answers = [await tick(), await service.triggerJob(JOB)];

      expect([answers, status(), types(), job()]).toEqual([
        [503, 200],
        'DELIVERED',
        ['shipment.dispatched', 'shipment.delivered'],
        undefined,
      ]);
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
