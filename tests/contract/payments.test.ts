import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PaymentDocument, SimulatedLedger } from '../../services/payments/contract.ts';
import type { Order, OrderStatus } from '../../services/orders/contract.ts';
import type { Answer as OrdersAnswer, StateCall } from '../support/fake-sidecar.ts';
import { buildOrder } from '../support/orders.ts';
import { asCaller } from '../support/service-under-test.ts';
import { checkService, type Call, type CheckedService } from './checked-service.ts';
import { isChecked, requestLine } from './service-process.ts';
import { deliverDuringStall, eventTimeout, NO_ANSWER } from './stall.ts';
import { ADMIN } from './subject.ts';

/** What openapi.json of `payments` states in its description. Replica 1 shares the state with replica 0, and no memory. */
describe.runIf(isChecked('payments'))('payments: openapi.json, info.description', () => {
  let service: CheckedService;
  let order: Order;
  /** The order in `orders`; undefined if it is gone. */
  let orderNow: Order | undefined;
  let cardAnswer: () => OrdersAnswer | Promise<OrdersAnswer>;

  beforeAll(async () => {
    service = await checkService('payments', {
      env: { PAYMENT_TIMEOUT_MS: '800', SIMULATED_SLOW_CARD_MS: '1500' },
    });
    service.sidecar.answer('orders', ({ path }) =>
      path.startsWith('/orders?')
        ? { status: 200, body: { items: orderNow ? [orderNow] : [], next_cursor: null } }
        : cardAnswer(),
    );
  });
  afterAll(() => service?.stop());
  beforeEach(() => {
    service.reset();
    order = buildOrder({ status: 'RESERVED', total: 2500, version: 2 });
    orderNow = { ...order, status: 'DELIVERED' };
    useCard('tok_visa');
  });
  afterEach(() => {
    service.assertDocumented();
    assertNoCards();
  });

  function assertNoCards() {
    const kept = [service.sidecar.published, [...service.sidecar.documents]];
    const logged = service.replicas.flatMap(({ lines }) => lines);
    expect(JSON.stringify([kept, logged]), 'no card token is saved, published or logged').not.toMatch(/tok_/);
  }
  const useCard = (card_token: string) =>
    void (cardAnswer = () => ({ status: 200, body: { method: 'card', card_token } }));
  const eraseCard = () =>
    void (cardAnswer = () => ({ status: 410, body: { type: 'urn:sidecart:problem:card-erased' } }));
  const deliver = (type: string, replica = 0) => service.deliver(type, { order }, { replica });
  const request = (replica = 0) => deliver('payment.requested', replica);
  const cancel = (replica = 0) => deliver('order.cancelled', replica);
  const refund = (headers: Record<string, string> = {}, replica = 0) =>
    service.call('POST', `/api/payments/${order.order_id}/refund`, {
      headers: { ...ADMIN, ...headers },
      replica,
    });
  const refundReturn = (amount: unknown, returnId: string, call: Call = {}) =>
    service.call('PUT', `/refunds/${order.order_id}/${returnId}`, { json: { amount }, ...call });
  const deliverRefund = (replica = 0) => {
    const { order_id } = order;
    const payment_id = payment()?.payment_id ?? randomUUID();
    return service.deliver('refund.requested', { order_id, payment_id }, { replica });
  };
  const stored = <T>(kind: string) =>
    service.sidecar.documents.get(`${kind}:${order.order_id}`)?.value as T | undefined;
  const payment = () => stored<PaymentDocument>('payment');
  const ledger = () => stored<SimulatedLedger>('ledger') ?? { captures: [], refunds: [] };
  const money = () => {
    const total = (entries: { amount: number }[]) => entries.reduce((sum, { amount }) => sum + amount, 0);
    return { captured: total(ledger().captures), refunded: total(ledger().refunds) };
  };
  const published = (...types: string[]) =>
    service.sidecar.published.filter(({ type }) => types.includes(type));
  const outcomes = () => published('payment.processed', 'payment.failed');
  const refunds = () => published('payment.refunded');
  const refundRequests = () => published('refund.requested');
  const failed = (reason: string) => ({ type: 'payment.failed', data: { order_id: order.order_id, reason } });
  const shown = async () => {
    const { body } = await service.call('GET', `/api/payments?order_id=${order.order_id}`, {
      headers: ADMIN,
    });
    return body.items[0];
  };
  /** Saves a payment, as another implementation would have left it. */
  function save(
    status: PaymentDocument['status'],
    more: Partial<PaymentDocument> = {},
    records: Partial<SimulatedLedger> = {},
  ) {
    const { order_id, customer_id, total, currency } = order;
    const at = '2026-01-01T10:00:00.000Z';
    const known = {
      payment_id: randomUUID(),
      order_id,
      customer_id,
      status,
      amount: total,
      refunded: 0,
      currency,
    };
    const put = (key: string, value: unknown) =>
      service.sidecar.documents.set(key, { value, etag: randomUUID() });
    put(`payment:${order_id}`, { ...known, attempts: 0, updated_at: at, ...more });
    const entry = [{ amount: total, at }];
    const isCaptured = ['CAPTURED', 'REFUNDED'].includes(status);
    const records_ = {
      captures: isCaptured ? entry : [],
      refunds: status === 'REFUNDED' ? entry : [],
      ...records,
    };
    if (isCaptured || Object.keys(records).length > 0) put(`ledger:${order_id}`, records_);
  }

  /** Runs once, before the call that `matches`. */
  function once(matches: (call: StateCall) => boolean, act: () => Promise<unknown>) {
    let done = false;
    service.sidecar.onStateCall(async (call) => {
      if (done || !matches(call)) return;
      done = true;
      await act();
    });
  }
  const writes = (kind: string, nth: number) => {
    let seen = 0;
    return ({ op, keys }: StateCall) =>
      op === 'write' && keys.some((key) => key.startsWith(`${kind}:`)) && ++seen === nth;
  };

  describe('payment.requested', () => {
    it('When it is approved, then the money is captured once and payment.processed is published', async () => {
      expect(await request()).toBe('SUCCESS');
      const { payment_id, updated_at, ...saved } = payment()!;
      expect(saved).toMatchObject({ status: 'CAPTURED', amount: 2500, refunded: 0, attempts: 0 });
      expect(money()).toEqual({ captured: 2500, refunded: 0 });
      expect(outcomes()).toMatchObject([
        {
          type: 'payment.processed',
          id: `${payment_id}:payment.processed`,
          subject: order.order_id,
          time: updated_at,
          data: { order_id: order.order_id, payment_id },
        },
      ]);
    });

    it('When another process gets it too, then it publishes the same event and captures nothing', async () => {
      await request(0);
      expect(await request(1)).toBe('SUCCESS');
      expect([outcomes().length, ledger().captures.length]).toEqual([2, 1]);
    });

    it('When it comes six times at once, then it is captured once', async () => {
      await Promise.all([0, 1, 0, 1, 0, 1].map((replica) => request(replica)));
      expect(await request()).toBe('SUCCESS');
      expect([ledger().captures.length, payment()?.status]).toEqual([1, 'CAPTURED']);
    });

    it('When the id of the order has capital letters, then the keys have small ones', async () => {
      const { order_id } = order;
      await service.deliver('payment.requested', { order: { ...order, order_id: order_id.toUpperCase() } });
      expect(payment()?.order_id).toBe(order_id);
    });

    it.each([
      ['tok_chargeDeclined', 'card declined'],
      ['tok_chargeDeclinedInsufficientFunds', 'insufficient funds'],
      ['tok_nobody_knows', 'unknown card token'],
      ['tok_yes_after_no', 'card declined'],
    ])(
      'When %s is declined, then payment.failed has the reason "%s", also the second time',
      async (card, reason) => {
        useCard(card);
        expect([await request(), await request(1)]).toEqual(['SUCCESS', 'SUCCESS']);
        expect(outcomes()).toMatchObject([failed(reason), failed(reason)]);
        expect([payment()?.status, money().captured]).toEqual(['FAILED', 0]);
      },
    );

    it('When the ledger does not answer during many events, then they are redelivered, and the next one is captured', async () => {
      const requestAnother = (signal = eventTimeout()) =>
        service.deliver('payment.requested', { order: { ...order, order_id: randomUUID() } }, { signal });
      const isLedger = ({ keys }: StateCall) => keys.some((key) => key.startsWith('ledger:'));
      // A client that leaks a connection of each call that the time limit of the provider ends has none left.
      const answers = await deliverDuringStall(service.sidecar, 450, requestAnother, isLedger);
      expect(answers.filter((one) => one !== 'RETRY' && one !== NO_ANSWER)).toEqual([]);
      expect(await requestAnother()).toBe('SUCCESS');
    });

    it('When publishing fails, then the redelivery publishes', async () => {
      service.sidecar.fail('publish');
      expect([await request(), await request()]).toEqual(['RETRY', 'SUCCESS']);
      expect(outcomes()).toHaveLength(1);
    });

    it.each([1, 2, 3, 4, 5, 6])(
      'When call %i of the state store fails, then the redelivery captures once',
      async (failing) => {
        let calls = 0;
        service.sidecar.onStateCall(() => {
          calls += 1;
          if (calls === failing) throw new Error('unavailable');
        });
        const answer = await request();
        // A service may load the card, or the ledger, in fewer calls.
        expect(answer).toBe(calls >= failing ? 'RETRY' : 'SUCCESS');
        service.sidecar.onStateCall(() => {});
        expect(await request(1)).toBe('SUCCESS');
        expect([ledger().captures.length, payment()?.status]).toEqual([1, 'CAPTURED']);
      },
    );

    it.each([
      ['tok_flaky', ['RETRY', 'RETRY', 'SUCCESS']],
      ['tok_late', ['RETRY', 'SUCCESS']],
      ['tok_twice', ['SUCCESS']],
    ])(
      'When the card is %s, then the answers are %j and the money is captured once',
      async (card, expected) => {
        useCard(card);
        const answers = [];
        for (const [delivery] of expected.entries()) answers.push(await request(delivery % 2));
        expect([answers, ledger().captures.length, payment()?.status]).toEqual([expected, 1, 'CAPTURED']);
      },
    );

    it('When the card is slow, then later deliveries join the call in progress', async () => {
      useCard('tok_slow');
      const answers = [];
      while (answers.at(-1) !== 'SUCCESS' && answers.length < 4)
        answers.push(await request(answers.length % 2));
      expect([answers[0], answers.at(-1), payment()?.status]).toEqual(['RETRY', 'SUCCESS', 'CAPTURED']);
      expect(answers.length).toBeLessThan(4);
    });

    it('When the card is tok_timeout and two attempts are left, then the second delivery refunds', async () => {
      useCard('tok_timeout');
      save('AUTHORIZED', { attempts: 2, last_failure: 'provider timeout' });
      expect([await request(), await request(1)]).toEqual(['RETRY', 'SUCCESS']);
      expect(outcomes()).toMatchObject([failed('provider timeout')]);
      expect([money(), payment()]).toMatchObject([
        { captured: 2500, refunded: 2500 },
        { status: 'REFUNDED', refunded: 2500, reason: 'provider timeout', attempts: 4 },
      ]);
    });

    it('When the last attempt fails, then the same delivery reverses', async () => {
      useCard('tok_flaky');
      save('REQUESTED', { attempts: 3, last_failure: 'provider unreachable' });
      expect(await request()).toBe('SUCCESS');
      expect([payment()?.status, outcomes()]).toMatchObject(['FAILED', [failed('provider unreachable')]]);
    });
  });

  describe('the card', () => {
    it('When a payment is requested, then the card is fetched from orders once', async () => {
      await request();
      expect(service.sidecar.calls.map(({ target, method, path }) => [target, method, path])).toEqual([
        ['orders', 'GET', `/orders/${order.order_id}/payment-method`],
      ]);
    });

    it.each(['CAPTURED', 'FAILED', 'REFUNDED', 'REFUSED'] as const)(
      'When the payment is %s, then no card is needed',
      async (status) => {
        save(status);
        expect(await request()).toBe('SUCCESS');
        expect(service.sidecar.calls).toEqual([]);
      },
    );

    it.each([503, 500, 404, 403])(
      'When orders answers %i, then RETRY and nothing is saved',
      async (status) => {
        cardAnswer = () => ({ status, body: { type: 'urn:sidecart:problem:any' } });
        expect([await request(), service.sidecar.documents.size]).toEqual(['RETRY', 0]);
      },
    );

    it('When it is erased before the payment, then nothing is charged, now or later', async () => {
      eraseCard();
      expect(await request()).toBe('SUCCESS');
      useCard('tok_visa');
      await request(1);
      expect([payment()?.status, money().captured, outcomes()]).toMatchObject([
        'REFUSED',
        0,
        [failed('the order has ended'), failed('the order has ended')],
      ]);
    });

    it('When it is erased and the provider has captured without an answer, then the money is refunded', async () => {
      save('AUTHORIZED', { attempts: 1 }, { captures: [{ amount: 2500, at: '2026-01-01T10:00:00.000Z' }] });
      eraseCard();
      expect(await request()).toBe('SUCCESS');
      expect([money(), payment()?.status, outcomes().at(-1)?.type]).toEqual([
        { captured: 2500, refunded: 2500 },
        'REFUNDED',
        'payment.failed',
      ]);
    });

    it('When another process completes the payment meanwhile, then the money stays captured', async () => {
      const erased = { status: 410, body: { type: 'urn:sidecart:problem:card-erased' } };
      cardAnswer = async () => {
        useCard('tok_visa');
        await request(1);
        return erased;
      };
      expect(await request()).toBe('SUCCESS');
      expect([payment()?.status, money()]).toEqual(['CAPTURED', { captured: 2500, refunded: 0 }]);
    });
  });

  describe('order.cancelled and order.expired', () => {
    it.each([
      ['order.cancelled', 'order cancelled'],
      ['order.expired', 'order expired'],
    ])(
      'When %s follows the payment, twice, then all is refunded once and published',
      async (type, reason) => {
        await request();
        expect([await deliver(type, 0), await deliver(type, 1)]).toEqual(['SUCCESS', 'SUCCESS']);
        expect([payment(), money(), ledger().refunds.length]).toMatchObject([
          { status: 'REFUNDED', refunded: 2500, reason },
          { captured: 2500, refunded: 2500 },
          1,
        ]);
        const { payment_id } = payment()!;
        const event = {
          id: `${payment_id}:payment.refunded:2500`,
          time: payment()?.updated_at,
          data: { order_id: order.order_id, payment_id, refunded: 2500, currency: 'EUR' },
        };
        expect(refunds()).toMatchObject([event, event]);
      },
    );

    it('When the order ends before its payment, then a late request charges nothing', async () => {
      await cancel();
      expect([payment()?.status, await shown()]).toEqual(['REFUSED', undefined]);
      expect(await request(1)).toBe('SUCCESS');
      expect([outcomes(), money().captured, refunds()]).toMatchObject([[failed('order cancelled')], 0, []]);
    });

    it('When a charge arrives at the provider after that, then the late request refunds it', async () => {
      save(
        'REFUSED',
        { reason: 'order cancelled' },
        { captures: [{ amount: 2500, at: '2026-01-01T10:00:00.000Z' }] },
      );
      expect(await request()).toBe('SUCCESS');
      expect([money(), payment()]).toMatchObject([
        { captured: 2500, refunded: 2500 },
        {
          status: 'REFUNDED',
          refunded: 2500,
          reason: 'order cancelled',
          updated_at: '2026-01-01T10:00:00.000Z',
        },
      ]);
    });

    it('When the write after the refund is lost, then the redelivery refunds nothing more', async () => {
      await request();
      service.sidecar.onStateCall(({ op, keys }) => {
        if (op === 'write' && keys.includes(`payment:${order.order_id}`)) throw new Error('lost');
      });
      expect(await cancel()).toBe('RETRY');
      service.sidecar.onStateCall(() => {});
      expect(await cancel(1)).toBe('SUCCESS');
      expect([ledger().refunds.length, payment()?.status]).toEqual([1, 'REFUNDED']);
    });

    it.each([
      ['before the payment is AUTHORIZED', writes('payment', 1)],
      ['before the capture', writes('ledger', 1)],
      ['after the capture', writes('payment', 2)],
    ])(
      'When a cancellation comes %s, then no money is kept and payment.failed is published',
      async (_, matches) => {
        once(matches, () => cancel(1));
        let answer = await request();
        if (answer === 'RETRY') answer = await request();
        const { captured, refunded } = money();
        expect([answer, captured - refunded, outcomes().map(({ type }) => type)]).toEqual([
          'SUCCESS',
          0,
          ['payment.failed'],
        ]);
        expect(payment()?.refunded).toBe(refunded);
      },
    );
  });

  describe('every message in every status, twice', () => {
    const STATUSES = [
      'NONE',
      'REQUESTED',
      'AUTHORIZED',
      'CAPTURED',
      'FAILED',
      'REFUNDED',
      'REFUSED',
    ] as const;
    const MESSAGES: Record<string, (replica: number) => Promise<unknown>> = {
      'payment.requested': request,
      'payment.requested after the card was erased': (replica) => {
        eraseCard();
        return request(replica);
      },
      'order.cancelled': cancel,
      'order.expired': (replica) => deliver('order.expired', replica),
      refund: (replica) => refund({}, replica),
      'refund.requested': deliverRefund,
    };
    const cases = STATUSES.flatMap((status) =>
      Object.keys(MESSAGES).map((message) => [status, message] as const),
    );
    const records = () => {
      const { captures, refunds: returned } = ledger();
      return JSON.stringify([payment(), captures, returned]);
    };

    it.each(cases)(
      'When it is %s and "%s" is repeated, then the repetition changes nothing',
      async (status, message) => {
        if (status !== 'NONE') save(status);
        await MESSAGES[message]!(0);
        const before = records();
        await MESSAGES[message]!(1);
        expect(records()).toBe(before);
      },
    );
  });

  describe('GET /api/payments', () => {
    const list = (caller: Record<string, string>) =>
      service.call('GET', `/api/payments?order_id=${order.order_id}`, { headers: caller });

    it('When its customer calls, then the list has the payment; for others it is empty', async () => {
      save('CAPTURED');
      const { body, headers } = await list(asCaller(order.customer_id));
      expect(body).toMatchObject({
        items: [{ order_id: order.order_id, status: 'CAPTURED' }],
        next_cursor: null,
      });
      expect(headers.get('cache-control')).toBe('no-store');
      expect((await list(asCaller(randomUUID()))).body).toEqual({ items: [], next_cursor: null });
      expect((await list({})).slug).toBe('unauthenticated');
    });

    it.each(['REQUESTED', 'REFUSED'] as const)('When it is %s, then it is not shown', async (status) => {
      save(status);
      expect(await shown()).toBeUndefined();
    });
  });

  describe('GET /api/payments/ledger/{order_id}', () => {
    it('When the provider has records, then an administrator gets them, and else 404', async () => {
      const get = () => service.call('GET', `/api/payments/ledger/${order.order_id}`, { headers: ADMIN });
      expect((await get()).slug).toBe('not-found');
      save('REFUNDED');
      expect((await get()).body).toMatchObject({
        captured: 2500,
        refunded: 2500,
        captures: [{ amount: 2500 }],
      });
    });
  });

  describe('POST /api/payments/{order_id}/refund', () => {
    it.each(['PENDING', 'RESERVED', 'PAID', 'CANCELLED'] satisfies OrderStatus[])(
      'When the order is %s, then 409 and nothing is refunded',
      async (status) => {
        save('CAPTURED');
        orderNow = { ...order, status };
        expect([(await refund()).slug, money().refunded, refundRequests().length]).toEqual([
          'order-not-delivered',
          0,
          0,
        ]);
      },
    );

    it.each(['SHIPPED', 'DELIVERED'] satisfies OrderStatus[])(
      'When the order is %s, then all is refunded and published',
      async (status) => {
        save('CAPTURED');
        orderNow = { ...order, status };
        expect((await refund()).body).toMatchObject({
          status: 'REFUNDED',
          refunded: 2500,
          reason: 'refunded by the shop',
        });
        expect([money().refunded, refunds().length]).toEqual([2500, 1]);
      },
    );

    it.each([
      ['NONE', 'not-found'],
      ['REQUESTED', 'not-found'],
      ['REFUSED', 'not-found'],
      ['AUTHORIZED', 'nothing-captured'],
      ['FAILED', 'nothing-captured'],
    ] as const)('When the payment is %s, then %s', async (status, slug) => {
      if (status !== 'NONE') save(status);
      expect((await refund()).slug).toBe(slug);
    });

    it('When it is repeated with the same key, then another process replays the response', async () => {
      save('CAPTURED');
      const key = { 'idempotency-key': 'refund-1' };
      const [first, second] = [await refund(key), await refund({ 'idempotency-key': '"refund-1"' }, 1)];
      expect([second.status, second.body, second.headers.get('idempotent-replayed')]).toEqual([
        200,
        first.body,
        'true',
      ]);
      expect(ledger().refunds).toHaveLength(1);
    });

    it('When the key was used for another order, then 422; an error is not stored', async () => {
      const key = { 'idempotency-key': 'refund-2' };
      expect((await refund(key)).slug).toBe('not-found');
      save('CAPTURED');
      expect((await refund(key)).status).toBe(200);
      order = buildOrder();
      expect((await refund(key, 1)).slug).toBe('idempotency-key-reused');
    });

    it('When it was stored by another implementation, then it is replayed', async () => {
      // Computed by the rules of CONTRACT.md, Idempotency-Key, with the key `stored-elsewhere`.
      const caller = asCaller('019b0000-0000-7000-8000-0000000000a1', 'admin');
      order = { ...order, order_id: '019b0000-0000-7000-8000-000000000001' };
      save('CAPTURED');
      const body = { ...(await shown()), reason: 'stored' };
      service.sidecar.documents.set('idempotency:5c28c635-7f58-5335-8e28-09d61801b70e', {
        value: { status: 200, body, fingerprint: '16D_wmFdCLbjnY9cog2vsJWpUSasSAWnNbEjntNdWE8' },
        etag: '1',
        ttlSeconds: 86_400,
      });
      const answer = await refund({ ...caller, 'idempotency-key': 'stored-elsewhere' });
      expect([answer.status, answer.body, money().refunded]).toEqual([200, body, 0]);
    });

    it('When it is repeated without a key, then it is requested once, and the answer is the same', async () => {
      save('CAPTURED');
      const { payment_id, updated_at, order_id } = payment()!;
      const [first, second] = [await refund(), await refund({}, 1)];
      expect([second.status, second.body]).toEqual([200, first.body]);
      expect(refundRequests()).toMatchObject([
        {
          id: `${payment_id}:refund.requested`,
          subject: order_id,
          time: updated_at,
          data: { order_id, payment_id },
        },
      ]);
    });

    it.each(['invoke', 'publish'] as const)(
      'When %s fails, then 503 and nothing is refunded',
      async (capability) => {
        save('CAPTURED');
        service.sidecar.fail(capability, 10);
        const { slug, headers } = await refund();
        expect([slug, headers.get('retry-after'), money().refunded]).toEqual(['unavailable', '1', 0]);
      },
    );

    it('When publishing fails after the refund, then it succeeds, and refund.requested publishes', async () => {
      save('CAPTURED');
      once(writes('payment', 1), async () => service.sidecar.fail('publish'));
      expect([(await refund()).status, refunds()]).toEqual([200, []]);
      expect([await deliverRefund(1), refunds().length, money().refunded]).toEqual(['SUCCESS', 1, 2500]);
    });

    it('When the process dies after the call to the provider, then refund.requested saves and publishes', async () => {
      save('CAPTURED');
      service.sidecar.onStateCall(({ op, keys }) => {
        if (op === 'write' && keys.includes(`payment:${order.order_id}`)) throw new Error('it ended here');
      });
      expect((await refund()).slug).toBe('unavailable');
      service.sidecar.onStateCall(() => {});
      expect(await deliverRefund(1)).toBe('SUCCESS');
      expect([payment()?.status, ledger().refunds.length, refunds().length]).toEqual(['REFUNDED', 1, 1]);
    });

    it('When refund.requested arrives during the request, then all is refunded once', async () => {
      save('CAPTURED');
      const deliveries: Promise<string | undefined>[] = [];
      once(writes('ledger', 1), async () => void deliveries.push(deliverRefund(1)));
      expect((await refund()).body).toMatchObject({ status: 'REFUNDED', refunded: 2500 });
      expect([await Promise.all(deliveries), ledger().refunds.length]).toEqual([['SUCCESS'], 1]);
    });

    it('When there is no payment, then refund.requested is redelivered', async () => {
      expect([await deliverRefund(), service.sidecar.published]).toEqual(['RETRY', []]);
    });
  });

  describe('PUT /refunds/{order_id}/{return_id}', () => {
    const [ONE, TWO] = [randomUUID(), randomUUID()];
    const AT = '2026-01-01T10:00:00.000Z';
    beforeEach(() => save('CAPTURED'));

    it('When it is repeated, then another process refunds nothing more and gives the same answer', async () => {
      const first = await refundReturn(1000, ONE);
      const second = await refundReturn(1500, ONE.toUpperCase(), { replica: 1 });
      expect([first.status, first.body]).toEqual([200, { amount: 1000, refunded: 1000, currency: 'EUR' }]);
      expect(first.headers.get('cache-control')).toBe('no-store');
      expect([second.status, second.body]).toEqual([200, first.body]);
      expect([payment(), ledger().refunds, service.sidecar.published]).toMatchObject([
        { status: 'CAPTURED', refunded: 1000, returns: { [ONE]: 1000 }, updated_at: AT },
        [{ amount: 1000, return_id: ONE }],
        [],
      ]);
      expect([await shown(), ledger().refunds.length]).toMatchObject([
        { status: 'CAPTURED', refunded: 1000 },
        1,
      ]);
    });

    it('When its amount was 0, then a repetition with more refunds nothing', async () => {
      await refundReturn(0, ONE);
      expect((await refundReturn(1000, ONE, { replica: 1 })).body).toMatchObject({ amount: 0, refunded: 0 });
      expect([payment()?.returns, ledger().refunds]).toEqual([{ [ONE]: 0 }, []]);
    });

    it('When two returns exceed what was captured, then no more is refunded and the payment is REFUNDED', async () => {
      await refundReturn(2000, ONE);
      expect((await refundReturn(1000, TWO, { replica: 1 })).body).toMatchObject({
        amount: 500,
        refunded: 2500,
      });
      const { returns, updated_at } = payment()!;
      expect([returns, money(), updated_at > AT]).toEqual([
        { [ONE]: 2000, [TWO]: 500 },
        { captured: 2500, refunded: 2500 },
        true,
      ]);
      const third = randomUUID();
      expect((await refundReturn(1000, third)).body).toMatchObject({ amount: 0, refunded: 2500 });
      expect([payment(), ledger().refunds.length, service.sidecar.published]).toMatchObject([
        { status: 'REFUNDED', refunded: 2500, returns: { [third]: 0 }, updated_at },
        2,
        [],
      ]);
    });

    it('When the payment is refunded, then nothing is left to refund', async () => {
      save('REFUNDED', { refunded: 2500, reason: 'order cancelled' });
      expect((await refundReturn(1000, ONE)).body).toEqual({ amount: 0, refunded: 2500, currency: 'EUR' });
      expect(payment()).toMatchObject({ reason: 'order cancelled', updated_at: AT, returns: { [ONE]: 0 } });
    });

    it.each(['REQUESTED', 'AUTHORIZED', 'FAILED', 'REFUSED'] as const)(
      'When the payment is %s, then nothing-captured and nothing is refunded',
      async (status) => {
        save(status);
        expect((await refundReturn(1000, ONE)).slug).toBe('nothing-captured');
        expect([payment()?.returns, ledger().refunds]).toEqual([undefined, []]);
      },
    );

    it('When there is no payment, then 404 and nothing is saved', async () => {
      service.sidecar.documents.clear();
      expect([(await refundReturn(1000, ONE)).slug, service.sidecar.documents.size]).toEqual([
        'not-found',
        0,
      ]);
    });

    it.each([
      [{}, 'amount'],
      [{ amount: -1 }, 'amount'],
      [{ amount: 0.5 }, 'amount'],
      [{ amount: '1000' }, 'amount'],
      [{ amount: 1000, reason: 'x' }, 'reason'],
    ])('When the body is %j, then the 422 names %s and nothing is refunded', async (json, field) => {
      const { slug, body } = await refundReturn(undefined, ONE, { json });
      expect([slug, body.errors?.map((one) => one.field)]).toEqual(['invalid-input', [field]]);
      expect(ledger().refunds).toEqual([]);
    });

    it('When it comes six times at once, then it is refunded once', async () => {
      const answers = await Promise.all(
        [0, 1, 0, 1, 0, 1].map((replica) => refundReturn(1000, ONE, { replica })),
      );
      expect(new Set(answers.map(({ body }) => body['refunded']))).toEqual(new Set([1000]));
      expect(ledger().refunds).toHaveLength(1);
    });

    it.each(['payment', 'ledger'])(
      'When another return changes the %s between load and save, then both count',
      async (kind) => {
        once(writes(kind, 1), () => refundReturn(700, TWO, { replica: 1 }));
        expect((await refundReturn(1000, ONE)).body).toMatchObject({ amount: 1000, refunded: 1700 });
        expect([payment(), ledger().refunds.length]).toMatchObject([
          { refunded: 1700, returns: { [ONE]: 1000, [TWO]: 700 } },
          2,
        ]);
      },
    );

    it('When the write after the refund is lost, then 503, and the repetition refunds nothing more', async () => {
      once(writes('payment', 1), () => Promise.reject(new Error('lost')));
      expect((await refundReturn(1000, ONE)).slug).toBe('unavailable');
      expect((await refundReturn(1000, ONE, { replica: 1 })).body).toMatchObject({ refunded: 1000 });
      expect([payment()?.returns, ledger().refunds.length]).toEqual([{ [ONE]: 1000 }, 1]);
    });

    it('When the shop refunds the rest, then refund.requested publishes all of it', async () => {
      await refundReturn(1000, ONE);
      expect((await refund()).body).toMatchObject({ status: 'REFUNDED', refunded: 2500 });
      expect([await deliverRefund(1), money().refunded]).toEqual(['SUCCESS', 2500]);
      expect(refunds().map(({ data }) => data)).toMatchObject([{ refunded: 2500 }, { refunded: 2500 }]);
    });
  });

  const counted = async (status: string) => {
    const text = await (await fetch(`${service.replicas[0]!.url}/metrics`)).text();
    return Number(
      new RegExp(`^payments_processed_total\\{status="${status}"\\} ([\\d.]+)$`, 'm').exec(text)?.[1],
    );
  };

  it('openapi.json, x-metrics: when a payment is captured twice, then it is counted once', async () => {
    const before = await counted('CAPTURED');
    await request();
    await request();
    expect((await counted('CAPTURED')) - before).toBe(1);
  });

  it('openapi.json, x-metrics: when returns refund all, then the payment is counted as REFUNDED once', async () => {
    save('CAPTURED');
    const before = await counted('REFUNDED');
    for (const amount of [1000, 1500, 1]) await refundReturn(amount, randomUUID());
    expect((await counted('REFUNDED')) - before).toBe(1);
  });

  it('When a request saves a payment, then its log line has the payment', async () => {
    save('CAPTURED', { reason: 'any' });
    const id = randomUUID();
    await refundReturn(2500, randomUUID(), { headers: { 'x-request-id': id } });
    const { payment_id, order_id } = payment()!;
    expect(await requestLine(service.replicas[0]!, id)).toMatchObject({
      route: '/refunds/:order_id/:return_id',
      order_id,
      payment_id,
      payment_status: 'REFUNDED',
      payment_reason: 'any',
    });
  });
});
