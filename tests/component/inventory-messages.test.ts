import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/inventory/app.ts';
import type { Reservation, StockedProduct } from '../../services/inventory/domain/stock.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ORDER = '0197a000-0000-7000-8000-000000000001';
const CUSTOMER = '0197a000-0000-7000-8000-00000000000c';
const catalogue = [
  {
    product_id: 'mug-blue',
    name: 'Mug',
    unit_price: 1290,
    currency: 'EUR',
    on_hand: 10,
    low_stock_threshold: 3,
  },
  { product_id: 'pen', name: 'Pen', unit_price: 3490, currency: 'EUR', on_hand: 2, low_stock_threshold: 1 },
];

let service: ServiceUnderTest;

beforeEach(async () => {
  service = await startService((deps) => createApp({ ...deps, catalogue }));
  await vi.waitFor(() => service.http.get('/readyz').expect(200), { interval: 5 });
});
afterEach(() => service.stop());

const about = (lines: Record<string, number>, order_id = ORDER) => ({
  order: {
    order_id,
    customer_id: CUSTOMER,
    status: 'PENDING',
    items: Object.entries(lines).map(([product_id, quantity]) => ({
      product_id,
      name: product_id,
      quantity,
      unit_price: 1290,
    })),
    total: 1290,
    currency: 'EUR',
    version: 1,
    created_at: '2026-05-01T10:00:00.000Z',
    updated_at: '2026-05-01T10:00:00.000Z',
  },
});
const figures = (id: string) => {
  const { value } = service.sidecar.documents.get(`product:${id}`)!;
  const { on_hand, reserved, sold } = value as StockedProduct;
  return { on_hand, reserved, sold };
};
const reservation = () =>
  service.sidecar.documents.get(`reservation:${ORDER}`)?.value as Reservation | undefined;
const ENDINGS = ['order.payment_failed', 'order.cancelled', 'order.expired'];

describe('order.created', () => {
  it('When there is enough stock, then it is reserved and published', async () => {
    expect(await service.deliver('order.created', about({ 'mug-blue': 2, pen: 1 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 2, sold: 0 });
    expect(service.sidecar.published).toEqual([
      {
        specversion: '1.0',
        datacontenttype: 'application/json',
        id: `${ORDER}:reserved`,
        source: 'inventory',
        type: 'inventory.reserved',
        subject: ORDER,
        time: reservation()?.time,
        data: { order_id: ORDER },
      },
    ]);
  });

  it('When one line is short, then nothing is reserved and the event has the reason', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2, pen: 3 }));
    expect(figures('mug-blue').reserved).toBe(0);
    expect(service.sidecar.published).toMatchObject([
      {
        type: 'inventory.rejected',
        id: `${ORDER}:rejected`,
        data: { order_id: ORDER, reason: 'out of stock: pen (3 wanted, 2 available)' },
      },
    ]);
  });

  it.each([
    ['reserved', 2],
    ['rejected', 11],
  ])(
    'When an order that was %s is redelivered, then the same event is republished and nothing changes',
    async (_, mugs) => {
      await service.deliver('order.created', about({ 'mug-blue': mugs }));
      const before = figures('mug-blue');
      expect(await service.deliver('order.created', about({ 'mug-blue': mugs }))).toBe('SUCCESS');
      const [first, again, ...more] = service.sidecar.published;
      expect(again).toEqual(first);
      expect(more).toEqual([]);
      expect(figures('mug-blue')).toEqual(before);
    },
  );

  it('When a rejected order is redelivered after a restock, then it stays rejected', async () => {
    await service.deliver('order.created', about({ pen: 3 }));
    await service.http
      .post('/api/inventory/pen/restock')
      .set({ 'x-caller-id': CUSTOMER, 'x-caller-role': 'admin' })
      .send({ quantity: 5 })
      .expect(200);
    await service.deliver('order.created', about({ pen: 3 }));
    expect(service.sidecar.published.map(({ type }) => type)).toEqual([
      'inventory.rejected',
      'inventory.rejected',
    ]);
  });

  it('When publishing fails after the write, then the redelivery publishes and reserves nothing more', async () => {
    service.sidecar.fail('publish');
    expect(await service.deliver('order.created', about({ 'mug-blue': 2 }))).toBe('RETRY');
    expect(await service.deliver('order.created', about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(service.publishedEvents('inventory.reserved')).toHaveLength(1);
    expect(figures('mug-blue').reserved).toBe(2);
  });

  it('When order.created is redelivered after payment, then the same reservation is republished', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2 }));
    await service.deliver('order.paid', about({ 'mug-blue': 2 }));
    await service.deliver('order.created', about({ 'mug-blue': 2 }));
    const [first, again] = service.sidecar.published;
    expect(again).toEqual(first);
    expect(figures('mug-blue')).toEqual({ on_hand: 8, reserved: 0, sold: 2 });
  });

  it('When the state is unavailable, then the event is redelivered and nothing is published', async () => {
    service.sidecar.fail('state');
    expect(await service.deliver('order.created', about({ 'mug-blue': 2 }))).toBe('RETRY');
    expect(service.sidecar.published).toEqual([]);
  });

  it.each([
    ['no order', {}],
    ['an order without lines', { order: { ...about({}).order, items: undefined } }],
    ['a quantity of 0', about({ 'mug-blue': 0 })],
    ['a negative quantity', about({ 'mug-blue': -2 })],
    ['a fraction', about({ 'mug-blue': 0.5 })],
  ])('When it has %s, then it is dropped and nothing changes', async (_, data) => {
    expect(await service.deliver('order.created', data)).toBe('DROP');
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
    expect(service.sidecar.published).toEqual([]);
  });
});

describe('order.paid', () => {
  it('When its lines are reserved, then they are sold', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2 }));
    expect(await service.deliver('order.paid', about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 8, reserved: 0, sold: 2 });
  });

  it('When it is redelivered, then the lines are sold once', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2 }));
    await service.deliver('order.paid', about({ 'mug-blue': 2 }));
    expect(await service.deliver('order.paid', about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 8, reserved: 0, sold: 2 });
  });

  it('When it arrives before the order is known, then it is redelivered and nothing is saved', async () => {
    expect(await service.deliver('order.paid', about({ 'mug-blue': 2 }))).toBe('RETRY');
    expect(reservation()).toBeUndefined();
  });

  it('When a product falls to its threshold, then stock.low is published for that product only', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2, pen: 1 }));
    await service.deliver('order.paid', about({ 'mug-blue': 2, pen: 1 }));
    expect(service.publishedEvents('stock.low')).toEqual([
      { id: `${ORDER}:low:pen`, data: { product_id: 'pen', available: 1 } },
    ]);
  });

  it('When publishing stock.low fails, then the redelivery publishes the stock level of the sale', async () => {
    await service.deliver('order.created', about({ pen: 1 }));
    service.sidecar.fail('publish');
    expect(await service.deliver('order.paid', about({ pen: 1 }))).toBe('RETRY');
    await service.deliver('order.created', about({ pen: 1 }, '0197a000-0000-7000-8000-000000000002'));
    expect(await service.deliver('order.paid', about({ pen: 1 }))).toBe('SUCCESS');
    expect(service.publishedEvents('stock.low')).toEqual([
      { id: `${ORDER}:low:pen`, data: { product_id: 'pen', available: 1 } },
    ]);
    expect(service.sidecar.published.at(-1)?.time).toBe(reservation()?.sale?.time);
  });

  it('When the order was released before, then nothing changes and a warning is logged', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2 }));
    await service.deliver('order.expired', about({ 'mug-blue': 2 }));
    expect(await service.deliver('order.paid', about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
    expect(service.logs).toContainEqual(
      expect.objectContaining({ level: 'warn', status: 'RELEASED', order_id: ORDER }),
    );
  });
});

describe.each(ENDINGS)('%s', (ending) => {
  it('When the order is reserved, then its lines are available again, once', async () => {
    await service.deliver('order.created', about({ 'mug-blue': 2, pen: 1 }));
    expect(await service.deliver(ending, about({ 'mug-blue': 2, pen: 1 }))).toBe('SUCCESS');
    expect(await service.deliver(ending, about({ 'mug-blue': 2, pen: 1 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
    expect(figures('pen')).toEqual({ on_hand: 2, reserved: 0, sold: 0 });
  });

  it('When it arrives before order.created, then that order is rejected and nothing is reserved', async () => {
    expect(await service.deliver(ending, about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(await service.deliver('order.created', about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(service.sidecar.published).toMatchObject([
      {
        type: 'inventory.rejected',
        data: { order_id: ORDER, reason: 'the order ended before its stock was reserved' },
      },
    ]);
    expect(figures('mug-blue').reserved).toBe(0);
  });

  it('When the order was rejected, then it stays so', async () => {
    await service.deliver('order.created', about({ pen: 3 }));
    expect(await service.deliver(ending, about({ pen: 3 }))).toBe('SUCCESS');
    expect(reservation()?.status).toBe('REJECTED');
  });
});

describe('order.cancelled after payment', () => {
  it('When the lines were sold, then they are back on hand, once', async () => {
    for (const type of ['order.created', 'order.paid', 'order.cancelled', 'order.cancelled'])
      await service.deliver(type, about({ 'mug-blue': 2 }));
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
  });

  it('When order.paid is redelivered afterwards, then nothing changes', async () => {
    for (const type of ['order.created', 'order.paid', 'order.cancelled', 'order.paid'])
      expect(await service.deliver(type, about({ 'mug-blue': 2 }))).toBe('SUCCESS');
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
  });
});

describe('metrics', () => {
  it('When messages are redelivered, then each status is counted once', async () => {
    for (const type of ['order.created', 'order.created', 'order.paid', 'order.paid', 'order.cancelled'])
      await service.deliver(type, about({ 'mug-blue': 2 }));
    const { text } = await service.http.get('/metrics');
    for (const status of ['RESERVED', 'SOLD', 'RELEASED'])
      expect(text).toContain(`inventory_reservations_total{status="${status}"} 1\n`);
  });
});
