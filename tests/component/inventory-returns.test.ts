import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/inventory/app.ts';
import type { StockedProduct } from '../../services/inventory/domain/stock.ts';
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

describe('PUT /returns/:order_id/:return_id', () => {
  const takeBack = async (items: unknown, returnId = '0197a000-0000-7000-8000-0000000000d1') =>
    (await service.http.put(`/returns/${ORDER}/${returnId}`).send({ items })).status;

  it('When a return comes back twice, then its lines are on hand again, once', async () => {
    for (const type of ['order.created', 'order.paid']) await service.deliver(type, about({ 'mug-blue': 3 }));
    const one = [{ product_id: 'mug-blue', quantity: 1 }];
    expect(await Promise.all([takeBack(one), takeBack(one)])).toEqual([204, 204]);
    expect(figures('mug-blue')).toEqual({ on_hand: 8, reserved: 0, sold: 2 });
    await takeBack(one, '0197a000-0000-7000-8000-0000000000d2');
    expect(figures('mug-blue')).toEqual({ on_hand: 9, reserved: 0, sold: 1 });
  });

  it('When two returns exceed what is sold, then no more comes back', async () => {
    for (const type of ['order.created', 'order.paid']) await service.deliver(type, about({ 'mug-blue': 3 }));
    const two = [{ product_id: 'mug-blue', quantity: 2 }];
    expect([await takeBack(two), await takeBack(two, '0197a000-0000-7000-8000-0000000000d2')]).toEqual([
      204, 204,
    ]);
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
  });

  it('When a product is gone, then the other lines come back', async () => {
    for (const type of ['order.created', 'order.paid'])
      await service.deliver(type, about({ 'mug-blue': 1, pen: 1 }));
    service.sidecar.documents.delete('product:pen');
    const items = [
      { product_id: 'pen', quantity: 1 },
      { product_id: 'mug-blue', quantity: 1 },
    ];
    expect(await takeBack(items)).toBe(204);
    expect(figures('mug-blue')).toEqual({ on_hand: 10, reserved: 0, sold: 0 });
  });

  it('When the order is unknown, then 404', async () => {
    expect(await takeBack([{ product_id: 'pen', quantity: 1 }])).toBe(404);
  });
});
