import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/inventory/app.ts';
import { productSchema } from '../../services/inventory/contract.ts';
import { problemSchema } from '../../services/shared/http/problem.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ADMIN = asCaller('0197a000-0000-7000-8000-00000000000a', 'admin');
const CUSTOMER = asCaller('0197a000-0000-7000-8000-00000000000c');
const catalogue = ['mug-blue', 'pen', 'tote'].map((product_id, n) => ({
  product_id,
  name: `Product ${n}`,
  unit_price: 1000 + n,
  currency: n === 2 ? 'CHF' : 'EUR',
  on_hand: 10 * n,
  low_stock_threshold: 1,
}));
const MUG = {
  product_id: 'mug-blue',
  name: 'Product 0',
  unit_price: 1000,
  currency: 'EUR',
  on_hand: 0,
  reserved: 0,
  available: 0,
};

let service: ServiceUnderTest;
const get = (path: string) => service.http.get(path).set(CUSTOMER);
const put = (id: string, body: object) => service.http.put(`/api/inventory/${id}`).set(ADMIN).send(body);
const restock = (id: string, body: object) =>
  service.http.post(`/api/inventory/${id}/restock`).set(ADMIN).send(body);
const wrongFields = (body: unknown) => problemSchema.parse(body).errors?.map(({ field }) => field);
const ids = (body: unknown) =>
  (body as { items: { product_id: string }[] }).items.map((item) => item.product_id);
const many = (count: number) => Array.from({ length: count }, (_, n) => `p${n}`).join(',');
const documents = () => JSON.stringify([...service.sidecar.documents]);
beforeEach(async () => {
  service = await startService((deps) => createApp({ ...deps, catalogue }));
  await vi.waitFor(() => service.http.get('/readyz').expect(200), { interval: 5 });
});
afterEach(() => service.stop());

describe('GET /api/inventory', () => {
  it('When it is called, then the products have the order of the catalogue', async () => {
    const { status, body } = await get('/api/inventory');
    expect(status).toBe(200);
    expect(body.items[0]).toEqual(MUG);
    expect(ids(body)).toEqual(['mug-blue', 'pen', 'tote']);
    expect(body.next_cursor).toBeNull();
  });

  it('When the client follows the pages, then every product occurs once', async () => {
    const first = await get('/api/inventory?limit=2');
    const second = await get(`/api/inventory?limit=2&cursor=${first.body.next_cursor}`);
    expect([ids(first.body), ids(second.body), second.body.next_cursor]).toEqual([
      ['mug-blue', 'pen'],
      ['tote'],
      null,
    ]);
  });

  it('When there is a next page, then a Link leads to it, and the last page has none', async () => {
    const first = await get('/api/inventory?limit=2');
    const [, next = ''] = /^<([^>]+)>; rel="next"$/.exec(first.headers['link'] ?? '') ?? [];
    expect(next).toBe(`/api/inventory?limit=2&cursor=${first.body.next_cursor}`);
    const second = await get(next);
    expect([ids(second.body), second.headers['link']]).toEqual([['tote'], undefined]);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=ten', 'limit'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=a&cursor=b', 'cursor'],
  ])('When the query is %s, then the 400 names %s', async (query, field) => {
    const { status, body } = await get(`/api/inventory?${query}`);
    expect(status).toBe(400);
    expect(wrongFields(body)).toEqual([field]);
  });
});

describe('GET /api/inventory/:product_id', () => {
  it('When it exists, then the response has it', async () => {
    const { status, body } = await get('/api/inventory/tote');
    expect(status).toBe(200);
    expect(productSchema.strict().parse(body)).toMatchObject({ on_hand: 20, available: 20, currency: 'CHF' });
  });

  it.each(['teapot', 'a.b', 'a'.repeat(65), 'index:products', '%00', '__proto__'])(
    'When the id is %s, then 404',
    async (id) => {
      const { status, body } = await get(`/api/inventory/${id}`);
      expect(status).toBe(404);
      expect(problemSchema.parse(body).type).toBe('urn:sidecart:problem:not-found');
    },
  );
});

describe('PUT /api/inventory/:product_id', () => {
  it('When it does not exist, then it is created without stock, in EUR, and listed', async () => {
    const { status, body } = await put('teapot', { name: ' Teapot ', unit_price: 5900 });
    expect(status).toBe(201);
    expect(body).toEqual({ ...MUG, product_id: 'teapot', name: 'Teapot', unit_price: 5900 });
    expect(ids((await get('/api/inventory')).body)).toContain('teapot');
  });

  it('When it exists, then name and price change, and stock and currency do not', async () => {
    const { status, body } = await put('tote', { name: 'Bag', unit_price: 0 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: 'Bag', unit_price: 0, on_hand: 20, currency: 'CHF' });
    expect(ids((await get('/api/inventory')).body)).toHaveLength(3);
  });

  it('When a currency is given, then it is set, with or without stock', async () => {
    const { body } = await put('tote', { name: 'Bag', unit_price: 1, currency: 'USD' });
    expect(body).toMatchObject({ currency: 'USD', on_hand: 20 });
  });

  it('When two requests create the same product at once, then one creates it and the other changes it', async () => {
    const answers = await Promise.all(
      [1, 2].map((unit_price) => put('teapot', { name: 'Teapot', unit_price })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201]));
    expect(ids((await get('/api/inventory')).body).filter((id) => id === 'teapot')).toHaveLength(1);
  });

  it('When a customer asks, then 403 and nothing changes', async () => {
    const before = documents();
    const answer = await service.http
      .put('/api/inventory/tote')
      .set(CUSTOMER)
      .send({ name: 'Bag', unit_price: 1 });
    expect(answer.status).toBe(403);
    expect(documents()).toBe(before);
  });

  it('When there is no caller, then 401', async () => {
    const answer = await service.http.put('/api/inventory/tote').send({ name: 'Bag', unit_price: 1 });
    expect(answer.status).toBe(401);
  });

  it('When the id is malformed, then 404', async () => {
    expect((await put('a.b', { name: 'Bag', unit_price: 1 })).status).toBe(404);
  });

  it.each([
    [{}, ['name', 'unit_price']],
    [{ name: '', unit_price: 1 }, ['name']],
    [{ name: 'x'.repeat(201), unit_price: 1 }, ['name']],
    [{ name: 'Bag', unit_price: -1 }, ['unit_price']],
    [{ name: 'Bag', unit_price: 1.5 }, ['unit_price']],
    [{ name: 'Bag', unit_price: '12' }, ['unit_price']],
    [{ name: 'Bag', unit_price: 1e12 }, ['unit_price']],
    [{ name: 'Bag', unit_price: 1, currency: 'euro' }, ['currency']],
    [{ name: 'Bag', unit_price: 1, currency: 'ABC' }, ['currency']],
    [{ name: 'Bag', unit_price: 1, on_hand: 5 }, ['on_hand']],
    [[], ['']],
  ])('When the body is %j, then the 422 names %j and nothing changes', async (input, fields) => {
    const before = documents();
    const { status, body } = await put('tote', input);
    expect(status).toBe(422);
    expect(wrongFields(body)).toEqual(fields);
    expect(documents()).toBe(before);
  });

  it('When the state is unavailable, then 503', async () => {
    service.sidecar.fail('state');
    expect((await put('tote', { name: 'Bag', unit_price: 1 })).status).toBe(503);
  });
});

describe('POST /api/inventory/:product_id/restock', () => {
  it('When it is called twice, then both quantities are added', async () => {
    await restock('pen', { quantity: 5 });
    const { status, body } = await restock('pen', { quantity: 7 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ product_id: 'pen', on_hand: 22, available: 22 });
  });

  it('When many come at once, then none is lost', async () => {
    await Promise.all(Array.from({ length: 20 }, () => restock('pen', { quantity: 1 })));
    expect((await get('/api/inventory/pen')).body.on_hand).toBe(30);
  });

  it.each(['teapot', 'a.b'])('When the product is %s, then 404 and nothing changes', async (id) => {
    const before = documents();
    expect((await restock(id, { quantity: 1 })).status).toBe(404);
    expect(documents()).toBe(before);
  });

  it('When a customer asks, then 403', async () => {
    const answer = await service.http.post('/api/inventory/pen/restock').set(CUSTOMER).send({ quantity: 1 });
    expect(answer.status).toBe(403);
  });

  it.each([
    {},
    { quantity: 0 },
    { quantity: -3 },
    { quantity: 0.5 },
    { quantity: 1_000_001 },
    { quantity: '3' },
  ])('When the body is %j, then the 422 names the quantity and nothing changes', async (input) => {
    const before = documents();
    const { status, body } = await restock('pen', input);
    expect(status).toBe(422);
    expect(wrongFields(body)).toEqual(['quantity']);
    expect(documents()).toBe(before);
  });
});

describe('GET /products', () => {
  it('When it gets ids, then it returns the known products in their order', async () => {
    const { status, body } = await service.http.get('/products?ids=tote,teapot,mug-blue,tote');
    expect(status).toBe(200);
    expect(ids(body)).toEqual(['tote', 'mug-blue']);
    expect(body.items[1]).toEqual(MUG);
  });

  it('When it gets 50 ids, then it returns them; with 51, 400', async () => {
    expect((await service.http.get(`/products?ids=${many(50)}`)).status).toBe(200);
    expect((await service.http.get(`/products?ids=${many(51)}`)).status).toBe(400);
  });

  it.each(['', 'ids=', 'ids=a.b', 'ids=mug-blue,,pen', 'ids=a&ids=b'])(
    'When the query is "%s", then 400',
    async (q) => {
      expect((await service.http.get(`/products?${q}`)).status).toBe(400);
    },
  );
});
