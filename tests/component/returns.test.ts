import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Order } from '../../services/orders/contract.ts';
import { createReturns, type ReturnsApp } from '../../services/returns/app.ts';
import { returns as description } from '../../services/returns/api.ts';
import { ERASED_REASON, type Return } from '../../services/returns/contract.ts';
import {
  CHANGED,
  RETURN_WORKFLOW,
  returnWorkflow,
  STEPS,
} from '../../services/returns/workflow/return-workflow.ts';
import { asyncApi } from '../../services/shared/api-docs/asyncapi.ts';
import { createAsyncApiCheck } from '../support/json-schema.ts';
import { buildOrder } from '../support/orders.ts';
import { simulateWorkflows, type WorkflowSimulation } from '../support/replayed-workflow.ts';
import { createFakeEngine, returnsOptions, type FakeEngine } from '../support/returns-options.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const CUSTOMER = randomUUID();
const ADMIN = asCaller(randomUUID(), 'admin');
const START = '2026-01-12T09:30:00.000Z';
const PARCEL_MS = 60_000;

let service: ServiceUnderTest;
let engine: FakeEngine;
let workflows: WorkflowSimulation;
let built: ReturnsApp;
let now: Date;
let order: Order;
/** What payments and inventory have done, by return. */
let refunds: Map<string, number>;
let restocks: Map<string, unknown>;

beforeEach(async () => {
  now = new Date(START);
  refunds = new Map();
  restocks = new Map();
  engine = createFakeEngine();
  service = await startService((deps) => {
    built = createReturns({
      ...deps,
      ...returnsOptions(),
      engine,
      parcelMs: PARCEL_MS,
      autoApprovalAmount: 500,
      now: () => now,
    });
    return built.app;
  });
  workflows = simulateWorkflows({
    name: RETURN_WORKFLOW,
    workflow: returnWorkflow,
    activities: built.activities,
    now: () => now,
  });
  order = buildOrder({
    customer_id: CUSTOMER,
    status: 'DELIVERED',
    delivered_at: '2026-01-05T09:30:00.000Z',
    items: [
      { product_id: 'mug', name: 'Mug', quantity: 3, unit_price: 1000 },
      { product_id: 'pen', name: 'Pen', quantity: 1, unit_price: 200 },
    ],
  });
  service.sidecar.answer('orders', ({ path }) => {
    const ids = new URL(path, 'http://orders').searchParams.get('ids');
    return { status: 200, body: { items: ids === order.order_id ? [order] : [], next_cursor: null } };
  });
  service.sidecar.answer('payments', ({ path, body }) => {
    const [, , , returnId = ''] = path.split('/');
    const { amount } = body as { amount: number };
    if (!refunds.has(returnId)) refunds.set(returnId, amount);
    const refunded = [...refunds.values()].reduce((sum, one) => sum + one, 0);
    return { status: 200, body: { amount: refunds.get(returnId), refunded, currency: 'EUR' } };
  });
  service.sidecar.answer('inventory', ({ path, body }) => {
    restocks.set(path.split('/')[3] ?? '', (body as { items: unknown }).items);
    return { status: 200 };
  });
});
afterEach(() => service.stop());

const request = (
  items: unknown = [{ product_id: 'mug', quantity: 1 }],
  {
    caller = asCaller(CUSTOMER),
    reason = 'too small',
    key = randomUUID(),
  }: { caller?: Record<string, string>; reason?: unknown; key?: string } = {},
) =>
  service.http
    .post(`/api/orders/${order.order_id}/returns`)
    .set({ ...caller, 'idempotency-key': key })
    .send({ items, reason });

const act = (id: string, name: string, body?: object, caller = ADMIN) =>
  service.http.post(`/api/returns/${id}/${name}`).set(caller).send(body);

const read = async (id: string) => (await service.http.get(`/api/returns/${id}`).set(ADMIN)).body as Return;

async function requested(items?: unknown): Promise<string> {
  const response = await request(items);
  expect(response.status).toBe(201);
  return (response.body as Return).return_id;
}

describe('POST /api/orders/:id/returns', () => {
  it('When lines are delivered, then the return is saved and its workflow started', async () => {
    const response = await request();
    expect(response.status).toBe(201);
    expect(response.body).toMatchObject({
      status: 'REQUESTED',
      total: 1000,
      reason: 'too small',
      version: 1,
    });
    const { return_id } = response.body as Return;
    expect(response.headers['location']).toBe(`/api/returns/${return_id}`);
    expect(engine.calls).toEqual([`start ${return_id}`]);
  });

  it('When a request is repeated, then it has the same answer, and there is one return', async () => {
    const key = randomUUID();
    const [first, second] = [await request(undefined, { key }), await request(undefined, { key })];
    expect(second.body).toEqual(first.body);
    expect(second.headers['idempotent-replayed']).toBe('true');
    const list = await service.http.get(`/api/orders/${order.order_id}/returns`).set(asCaller(CUSTOMER));
    expect((list.body as { items: unknown[] }).items).toHaveLength(1);
  });

  it.each([
    [
      'a line that was not bought',
      [{ product_id: 'hat', quantity: 1 }],
      422,
      'unknown-line',
      'items.0.product_id',
    ],
    ['too many', [{ product_id: 'mug', quantity: 4 }], 409, 'quantity-too-high', 'items.0.quantity'],
    [
      'too many in the second line',
      [
        { product_id: 'mug', quantity: 2 },
        { product_id: 'mug', quantity: 2 },
      ],
      409,
      'quantity-too-high',
      'items.1.quantity',
    ],
    ['none', [], 422, 'invalid-input', 'items'],
    ['a broken quantity', [{ product_id: 'mug', quantity: -1 }], 422, 'invalid-input', 'items.0.quantity'],
  ])('When the request has %s, then the problem names the line', async (_, items, status, slug, field) => {
    const response = await request(items);
    expect([response.status, slugOf(response)]).toEqual([status, slug]);
    expect((response.body as { errors: { field: string }[] }).errors[0]?.field).toBe(field);
    expect(engine.calls).toEqual([]);
  });

  it.each([['x'.repeat(10_000)], ['a\u0000b'], [''], [7]])(
    'When the reason is broken, then it is refused',
    async (reason) => {
      const response = await request(undefined, { reason });
      expect(response.status).toBe(422);
    },
  );

  it.each(['PENDING', 'PAID', 'SHIPPED', 'CANCELLED', 'REJECTED', 'EXPIRED'] as const)(
    'When the order is %s, then nothing can be returned',
    async (status) => {
      order = { ...order, status };
      expect(slugOf(await request())).toBe('order-not-delivered');
    },
  );

  it('When the window is over, then nothing can be returned', async () => {
    now = new Date('2026-02-04T09:30:00.001Z');
    expect(slugOf(await request())).toBe('return-window-over');
  });

  it('When the order belongs to another customer, then it is not found', async () => {
    expect((await request(undefined, { caller: asCaller(randomUUID()) })).status).toBe(404);
  });

  it('When many are requested at once, then each is saved', async () => {
    order = { ...order, items: [{ product_id: 'mug', name: 'Mug', quantity: 30, unit_price: 1000 }] };
    const responses = await Promise.all(Array.from({ length: 30 }, () => request()));
    expect(responses.filter(({ status }) => status !== 201).map(slugOf)).toEqual([]);
  });

  it('When two requests race for the same lines, then one of them wins', async () => {
    const two = [{ product_id: 'mug', quantity: 2 }];
    const responses = await Promise.all([request(two), request(two)]);
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([201, 409]));
  });

  it('When another return is cancelled, then its lines can be returned again', async () => {
    const id = await requested([{ product_id: 'mug', quantity: 3 }]);
    expect((await request()).status).toBe(409);
    expect((await act(id, 'cancel')).status).toBe(200);
    expect((await request()).status).toBe(201);
  });

  it('When the sidecar has no workflows, then the return is saved, and the sweep starts its workflow', async () => {
    engine.isDown = true;
    const id = await requested();
    engine.isDown = false;
    now = new Date(now.getTime() + 30_000);
    await built.sweep();
    expect(engine.calls).toEqual([`start ${id}`]);
  });
});

describe('reading returns', () => {
  it('When a customer reads, then only own returns are found', async () => {
    const id = await requested();
    const get = (path: string, caller: Record<string, string>) => service.http.get(path).set(caller);
    expect((await get(`/api/returns/${id}`, asCaller(CUSTOMER))).status).toBe(200);
    expect((await get(`/api/returns/${id}`, asCaller(randomUUID()))).status).toBe(404);
    expect((await get(`/api/orders/${order.order_id}/returns`, asCaller(randomUUID()))).status).toBe(404);
    expect((await get('/api/returns', asCaller(CUSTOMER))).status).toBe(403);
    expect((await get('/api/returns/none', asCaller(CUSTOMER))).status).toBe(404);
  });

  it('When an administrator lists by status, then pages have all of them, newest first', async () => {
    const ids = [await requested(), await requested(), await requested()];
    await act(ids[1] ?? '', 'reject');
    const list = async (query: string) => {
      const { body } = await service.http.get(`/api/returns?${query}`).set(ADMIN);
      return body as { items: Return[]; next_cursor: string | null };
    };
    expect((await list('')).items.map(({ return_id }) => return_id)).toEqual(ids.toReversed());
    expect((await list('status=REJECTED')).items.map(({ return_id }) => return_id)).toEqual([ids[1]]);
    const first = await list('status=REQUESTED&limit=1');
    const second = await list(`status=REQUESTED&limit=1&cursor=${first.next_cursor}`);
    expect([...first.items, ...second.items].map(({ return_id }) => return_id)).toEqual([ids[2], ids[0]]);
  });
});

describe('the steps of people', () => {
  const allowed: Record<string, string[]> = {
    REQUESTED: ['approve', 'reject', 'cancel'],
    APPROVED: ['receive', 'cancel'],
    RECEIVED: [],
    REJECTED: [],
    CANCELLED: [],
  };
  const paths: Record<string, string[]> = {
    REQUESTED: [],
    APPROVED: ['approve'],
    RECEIVED: ['approve', 'receive'],
    REJECTED: ['reject'],
    CANCELLED: ['cancel'],
  };
  const steps = ['approve', 'reject', 'receive', 'cancel'];
  it.each(Object.keys(allowed).flatMap((status) => steps.map((step) => ({ status, step }))))(
    'When a return is $status, then $step is possible or refused, and changes nothing twice',
    async ({ status, step }) => {
      const id = await requested();
      for (const name of paths[status] ?? []) expect((await act(id, name)).status).toBe(200);
      const first = await act(id, step);
      expect(first.status).toBe(allowed[status]?.includes(step) ? 200 : 409);
      const before = await read(id);
      const second = await act(id, step);
      expect(slugOf(second)).toBe('illegal-step');
      expect(await read(id)).toEqual(before);
    },
  );

  it.each(['approve', 'reject', 'receive'])(
    'When a customer tries to %s, then it is forbidden',
    async (step) => {
      expect((await act(await requested(), step, {}, asCaller(CUSTOMER))).status).toBe(403);
    },
  );

  it('When more is received than was announced, then the problem names the line', async () => {
    const id = await requested();
    await act(id, 'approve');
    const response = await act(id, 'receive', { items: [{ product_id: 'pen', quantity: 1 }] });
    expect(slugOf(response)).toBe('quantity-too-high');
    expect((await read(id)).status).toBe('APPROVED');
  });
});

describe('the workflow', () => {
  const begin = (id: string) => workflows.start(id, { return_id: id });
  const published = () => service.sidecar.published.map(({ type, id }) => `${type} ${id.split(':')[1]}`);

  it('When everything arrives, then it is refunded and restocked, and every status is published once', async () => {
    const id = await requested([{ product_id: 'mug', quantity: 2 }]);
    await begin(id);
    for (const step of ['approve', 'receive']) {
      await act(id, step);
      await workflows.raise(id, CHANGED);
    }
    expect(workflows.resultOf(id)).toBe('REFUNDED');
    expect(await read(id)).toMatchObject({ status: 'REFUNDED', refunded: 2000 });
    expect([refunds.get(id), restocks.get(id)]).toEqual([2000, [{ product_id: 'mug', quantity: 2 }]]);
    expect(published()).toEqual([
      'return.requested 1',
      'return.approved 2',
      'return.received 3',
      'return.refunded 4',
    ]);
    expect(JSON.stringify(service.sidecar.published)).not.toContain('too small');
  });

  it('When a part arrives damaged, then only its price is refunded, and nothing is restocked', async () => {
    const id = await requested([{ product_id: 'mug', quantity: 2 }]);
    await begin(id);
    await act(id, 'approve');
    await act(id, 'receive', { items: [{ product_id: 'mug', quantity: 1 }], condition: 'damaged' });
    await workflows.raise(id, CHANGED);
    expect(await read(id)).toMatchObject({ status: 'REFUNDED', refunded: 1000 });
    expect([refunds.get(id), restocks.get(id)]).toEqual([1000, undefined]);
    expect(published()).toHaveLength(4);
    const check = createAsyncApiCheck();
    const { components } = asyncApi([description]) as {
      components: { messages: Record<string, { payload: Record<string, unknown> }> };
    };
    for (const event of service.sidecar.published)
      expect(check(components.messages[event.type]!.payload, event)).toBeUndefined();
  });

  it('When the amount is small, then a rule approves, and without a parcel the return expires', async () => {
    const id = await requested([{ product_id: 'pen', quantity: 1 }]);
    await begin(id);
    expect(await read(id)).toMatchObject({
      status: 'APPROVED',
      label: expect.stringMatching(/^RT/) as string,
    });
    now = new Date(now.getTime() + PARCEL_MS);
    await workflows.advanceTo(now);
    expect(workflows.resultOf(id)).toBe('EXPIRED');
  });

  it('When payments fails for a long time, then the workflow repeats the refund, and pays once', async () => {
    const id = await requested();
    await begin(id);
    await act(id, 'approve');
    service.sidecar.fail('invoke', 30);
    await act(id, 'receive');
    await workflows.raise(id, CHANGED);
    for (let tries = 0; tries < 60 && workflows.resultOf(id) === undefined; tries++) {
      now = workflows.nextTimer() ?? now;
      await workflows.advanceTo(now);
    }
    expect(workflows.resultOf(id)).toBe('REFUNDED');
    expect(workflows.steps.filter((step) => step === 'advance').length).toBeGreaterThan(30);
    expect([...refunds]).toEqual([[id, 1000]]);
  });

  /** Every order of these four, each twice. */
  const EVENTS = ['approve', 'receive', 'cancel', 'expire'];
  const orders = permutations(EVENTS).map((permutation) => [permutation.join(), permutation] as const);
  it.each(orders)(
    'When %s come in this order, each twice, then the return ends as in the table',
    async (_, sequence) => {
      const id = await requested();
      await begin(id);
      let expected: Return['status'] = 'REQUESTED';
      for (const event of sequence) {
        if (event === 'expire') {
          now = new Date(now.getTime() + 2 * PARCEL_MS);
          await workflows.advanceTo(now);
          await workflows.advanceTo(now);
          if (expected === 'APPROVED') expected = 'EXPIRED';
        } else {
          await act(id, event);
          await workflows.raise(id, CHANGED);
          await act(id, event);
          await workflows.raise(id, CHANGED);
          if (event === 'approve' && expected === 'REQUESTED') expected = 'APPROVED';
          if (event === 'cancel' && ['REQUESTED', 'APPROVED'].includes(expected)) expected = 'CANCELLED';
          if (event === 'receive' && expected === 'APPROVED') expected = 'REFUNDED';
        }
      }
      expect((await read(id)).status).toBe(expected);
      expect([...refunds.values()]).toEqual(expected === 'REFUNDED' ? [1000] : []);
      expect(new Set(published()).size).toBe(published().length);
    },
  );

  it.each(STEPS)(
    'When the step %s runs twice, or the sidecar fails, then it does not throw, and its effect is the same',
    async (step) => {
      const id = await requested();
      await act(id, 'approve');
      await act(id, 'receive');
      service.sidecar.fail('state', 1);
      expect(await built.activities[step]({ return_id: id })).toEqual({ ok: false });
      const first = await built.activities[step]({ return_id: id });
      expect(await built.activities[step]({ return_id: id })).toEqual(first);
      expect([...refunds.values()]).toEqual(step === 'advance' ? [1000] : []);
    },
  );

  it.each([1, 2, 3, 4, 5, 6, 7])(
    'When the last step fails at its call %i of the state store, then its repetition has the same result',
    async (position) => {
      const id = await requested([{ product_id: 'mug', quantity: 2 }]);
      await act(id, 'approve');
      await act(id, 'receive');
      let calls = 0;
      service.sidecar.onStateCall(() => {
        if (++calls === position) throw new Error('a crash');
      });
      expect(await built.activities.advance({ return_id: id })).toEqual({ ok: false });
      service.sidecar.onStateCall(() => {});
      expect(await built.activities.advance({ return_id: id })).toMatchObject({ status: 'REFUNDED' });
      expect([refunds.get(id), restocks.get(id)]).toEqual([2000, [{ product_id: 'mug', quantity: 2 }]]);
      expect(await read(id)).toMatchObject({ status: 'REFUNDED', refunded: 2000, version: 4 });
    },
  );
});

describe('the sweep', () => {
  const later = () => (now = new Date(now.getTime() + 60_000));

  it('When a workflow does not follow its return, then it is woken, and when it has stopped, restarted', async () => {
    const id = await requested();
    later();
    await built.sweep();
    engine.workflows.set(id, { isRunning: false, createdAt: now });
    await built.sweep();
    engine.workflows.set(id, { isRunning: true, createdAt: now });
    await built.sweep();
    expect(engine.calls.map((call) => call.split(' ')[0]).slice(-2)).toEqual(['restart', 'wake']);
  });

  it('When wake-ups do not move a running workflow, then it is restarted after two minutes', async () => {
    const id = await requested();
    engine.workflows.set(id, { isRunning: true, createdAt: now });
    for (let minute = 0; minute < 4; minute++) {
      later();
      await built.sweep();
    }
    expect(engine.calls.map((call) => call.split(' ')[0]).slice(-4)).toEqual([
      'wake',
      'wake',
      'restart',
      'restart',
    ]);
  });

  it('When returns have ended, then the next sweep begins after them', async () => {
    const ids = [await requested(), await requested()];
    await act(ids[0] ?? '', 'reject');
    await built.activities.advance({ return_id: ids[0] ?? '' });
    await built.sweep();
    expect(service.sidecar.documents.get('sweep')?.value).toEqual({ position: 1 });
  });
});

describe('user.deleted', () => {
  it('When the account is deleted, then the texts of its returns are erased, also twice', async () => {
    const id = await requested();
    for (let delivery = 0; delivery < 2; delivery++)
      expect(await service.deliver('user.deleted', { user_id: CUSTOMER, version: 2 })).toBe('SUCCESS');
    expect((await read(id)).reason).toBe(ERASED_REASON);
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((first, position) =>
    permutations(items.toSpliced(position, 1)).map((rest) => [first, ...rest]),
  );
}
