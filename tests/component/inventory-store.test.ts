import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seed } from '../../services/inventory/catalogue.ts';
import { createStockStore, type StockStore } from '../../services/inventory/store/stock-store.ts';
import type { StockedProduct } from '../../services/inventory/domain/stock.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import type { StateStore } from '../../services/shared/dapr/state-store.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { createSidecarClient } from '../support/service-under-test.ts';

let fake: FakeSidecar;
let sidecar: Sidecar;

beforeEach(async () => {
  fake = await startFakeSidecar();
  sidecar = createSidecarClient(fake.port);
});
afterEach(async () => {
  await sidecar.close();
  await fake.close();
});

const buildEntry = (product_id: string, on_hand = 10) => ({
  product_id,
  name: product_id,
  unit_price: 100,
  currency: 'EUR',
  on_hand,
  low_stock_threshold: 0,
});
const mugOf = (order_id: string) => ({
  kind: 'reserve' as const,
  order_id,
  lines: [{ product_id: 'mug', quantity: 1 }],
  at: '2026-05-01T10:00:00.000Z',
});
const stored = (id: string) => fake.documents.get(`product:${id}`)?.value as StockedProduct;
const idsOf = async (stock: StockStore, limit = 100) =>
  (await stock.list(undefined, limit)).items.map(({ product_id }) => product_id);
const statusOf = async (step: Promise<{ after: { status: string } | undefined }>) =>
  (await step).after?.status;

/** The same state, which records the requested keys. */
function watched(
  state: StateStore,
  before: { getMany?: () => void; write?: () => Promise<void> },
): StateStore {
  return {
    ...state,
    getMany: (keys) => {
      before.getMany?.();
      return state.getMany(keys);
    },
    write: async (...writes) => {
      await before.write?.();
      await state.write(...writes);
    },
  };
}

describe('group commit', () => {
  it('When 40 orders need a product at once, then there is one read and one write', async () => {
    await seed(createStockStore(sidecar.state), [buildEntry('mug', 100)]);
    const requestedKeys: string[] = [];
    const state = watched(sidecar.state, {
      getMany: () => requestedKeys.push('read'),
      write: async () => void requestedKeys.push('write'),
    });
    const stock = createStockStore(state);
    await Promise.all(Array.from({ length: 40 }, (_, n) => stock.applyToOrder(mugOf(`o${n}`))));
    expect(requestedKeys).toEqual(['read', 'write']);
    expect(stored('mug').reserved).toBe(40);
  });

  it('When more orders than pieces come at once, then each piece goes to one order', async () => {
    const stock = createStockStore(sidecar.state);
    await seed(stock, [buildEntry('mug', 3)]);
    const statuses = await Promise.all(
      Array.from({ length: 9 }, (_, n) => statusOf(stock.applyToOrder(mugOf(`o${n}`)))),
    );
    expect(statuses.filter((status) => status === 'RESERVED')).toHaveLength(3);
    expect(statuses.filter((status) => status === 'REJECTED')).toHaveLength(6);
    expect(stored('mug').reserved).toBe(3);
  });

  it('When one command of a batch cannot be applied, then only that one fails', async () => {
    const stock = createStockStore(sidecar.state);
    await seed(stock, [buildEntry('mug'), buildEntry('pen')]);
    await stock.applyToOrder(mugOf('o1'));
    const pen = [{ product_id: 'pen', quantity: 1 }];
    const [, broken, good] = await Promise.allSettled([
      stock.applyToOrder({ ...mugOf('o2'), lines: pen }),
      stock.applyToOrder({ ...mugOf('o1'), kind: 'sell', lines: [] }),
      stock.applyToOrder({ ...mugOf('o3'), lines: pen }),
    ]);
    expect(broken.status).toBe('rejected');
    expect(good).toMatchObject({ status: 'fulfilled', value: { after: { status: 'RESERVED' } } });
    expect(stored('mug')).toMatchObject({ reserved: 1, sold: 0 });
    expect(stored('pen').reserved).toBe(2);
  });

  it('When another replica writes between read and write, then all commands are decided again', async () => {
    const other = createStockStore(sidecar.state);
    await seed(other, [buildEntry('mug', 1)]);
    let first = true;
    const state = watched(sidecar.state, {
      async write() {
        if (!first) return;
        first = false;
        await other.applyToOrder(mugOf('theirs'));
      },
    });
    expect(await statusOf(createStockStore(state).applyToOrder(mugOf('ours')))).toBe('REJECTED');
    expect(stored('mug')).toMatchObject({ on_hand: 1, reserved: 1 });
  });

  it('When two replicas sell the same product, then no piece is sold twice', async () => {
    const replicas = [createStockStore(sidecar.state), createStockStore(sidecar.state)];
    await seed(createStockStore(sidecar.state), [buildEntry('mug', 25)]);
    const statuses = await Promise.all(
      replicas.flatMap((stock, replica) =>
        Array.from({ length: 20 }, (_, n) => statusOf(stock.applyToOrder(mugOf(`${replica}-${n}`)))),
      ),
    );
    expect(statuses.filter((status) => status === 'RESERVED')).toHaveLength(25);
    expect(stored('mug').reserved).toBe(25);
  });

  it('When both replicas get the same order, then it is reserved once', async () => {
    const replicas = [createStockStore(sidecar.state), createStockStore(sidecar.state)];
    await seed(createStockStore(sidecar.state), [buildEntry('mug', 25)]);
    await Promise.all(replicas.map((stock) => stock.applyToOrder(mugOf('o1'))));
    expect(stored('mug').reserved).toBe(1);
  });
});

describe('products that were read before', () => {
  const restockMug = { kind: 'restock', product_id: 'mug', quantity: 1 } as const;

  it('When the price was read, then the reservation needs no read', async () => {
    await seed(createStockStore(sidecar.state), [buildEntry('mug')]);
    const calls: string[] = [];
    fake.onStateCall(({ op, keys }) => void calls.push(`${op} ${keys.join(' ')}`));
    const stock = createStockStore(sidecar.state);
    await stock.products(['mug']);
    expect(await statusOf(stock.applyToOrder(mugOf('o1')))).toBe('RESERVED');
    expect(calls).toEqual(['read product:mug', 'write product:mug reservation:o1']);
  });

  it('When the known stock is too low, then the stored stock decides', async () => {
    const [ours, theirs] = [createStockStore(sidecar.state), createStockStore(sidecar.state)];
    await seed(theirs, [buildEntry('mug', 0)]);
    await ours.products(['mug']);
    await theirs.applyToProduct(restockMug);
    expect(await statusOf(ours.applyToOrder(mugOf('o1')))).toBe('RESERVED');
  });

  it('When another replica took the last piece, then the order is rejected', async () => {
    const [ours, theirs] = [createStockStore(sidecar.state), createStockStore(sidecar.state)];
    await seed(theirs, [buildEntry('mug', 1)]);
    await ours.products(['mug']);
    await theirs.applyToOrder(mugOf('theirs'));
    expect(await statusOf(ours.applyToOrder(mugOf('ours')))).toBe('REJECTED');
    expect(stored('mug')).toMatchObject({ on_hand: 1, reserved: 1 });
  });

  it('When an order is reserved again, then the first reservation stays', async () => {
    const stock = createStockStore(sidecar.state);
    await seed(stock, [buildEntry('mug')]);
    await stock.applyToOrder(mugOf('o1'));
    await stock.products(['mug']);
    expect(await statusOf(stock.applyToOrder(mugOf('o1')))).toBe('RESERVED');
    expect(stored('mug').reserved).toBe(1);
  });
});

describe('seed', () => {
  const catalogue = Array.from({ length: 150 }, (_, n) => buildEntry(`p${n}`));
  const ids = catalogue.map(({ product_id }) => product_id);

  it('When products are listed, then they have the order of the catalogue', async () => {
    const stock = createStockStore(sidecar.state);
    await seed(stock, catalogue);
    expect(await idsOf(stock)).toEqual(ids.slice(0, 100));
  });

  it('When two replicas seed at once, then each product exists once', async () => {
    const stock = createStockStore(sidecar.state);
    await Promise.all([seed(stock, catalogue), seed(createStockStore(sidecar.state), catalogue)]);
    const first = await stock.list(undefined, 100);
    const second = await stock.list(first.nextCursor ?? '', 100);
    expect([...first.items, ...second.items].map(({ product_id }) => product_id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
  });

  it('When it stops in the middle and restarts, then the catalogue is complete', async () => {
    let writes = 0;
    const state = watched(sidecar.state, {
      async write() {
        writes += 1;
        if (writes > 1) throw new Error('stopped');
      },
    });
    await expect(seed(createStockStore(state), catalogue)).rejects.toThrow('stopped');
    const stock = createStockStore(sidecar.state);
    const before = (await idsOf(stock)).length;
    await seed(stock, catalogue);
    expect(before).toBe(64);
    expect(await idsOf(stock)).toEqual(ids.slice(0, 100));
  });

  it('When a product was sold and edited since, then it is unchanged', async () => {
    const stock = createStockStore(sidecar.state);
    await seed(stock, [buildEntry('mug')]);
    await stock.applyToOrder(mugOf('o1'));
    await stock.applyToProduct({ kind: 'put', product_id: 'mug', name: 'Cup', unit_price: 7 });
    const before = stored('mug');
    await seed(stock, [buildEntry('mug'), buildEntry('pen')]);
    expect(stored('mug')).toEqual(before);
    expect(await idsOf(stock)).toEqual(['pen', 'mug']);
  });
});
