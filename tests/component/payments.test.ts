import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ledgerSchema, paymentListSchema } from '../../services/payments/contract.ts';
import { createApp } from '../../services/payments/app.ts';
import { ProviderError, type PaymentProvider } from '../../services/payments/provider.ts';
import { createSimulatedProvider } from '../../services/payments/simulated-provider.ts';
import { orderStatus, type Order } from '../../services/orders/contract.ts';
import type { Answer } from '../support/fake-sidecar.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ORDER = '019b0000-0000-7000-8000-000000000001';
const OTHER_ORDER = '019b0000-0000-7000-8000-000000000002';
const CUSTOMER = '019b0000-0000-7000-8000-0000000000c1';
const ADMIN = asCaller('019b0000-0000-7000-8000-0000000000a1', 'admin');
/** Long enough for a response on a busy machine, in milliseconds. */
const TIMEOUT = 400;

let clock: number;
let service: ServiceUnderTest;

/** @param around wraps the calls of the simulated provider */
async function start(around: (provider: PaymentProvider) => Partial<PaymentProvider> = () => ({})) {
  clock = Date.parse('2026-01-01T10:00:00Z');
  const now = () => new Date(clock);
  service = await startService((deps) => {
    const provider = createSimulatedProvider({ state: deps.sidecar.state, now, slowMs: 8_000 });
    return createApp({
      ...deps,
      provider: { ...provider, ...around(provider) },
      now,
      timeoutMs: TIMEOUT,
      maxAttempts: 4,
    });
  });
  order = buildOrder('DELIVERED');
  service.sidecar.answer('orders', ({ path }) =>
    path.startsWith('/orders?')
      ? { status: 200, body: { items: order ? [order] : [], next_cursor: null } }
      : cardAnswer(),
  );
}

/** The order in `orders`. */
let order: Partial<Order> | undefined;
/** The response of `orders` to a request for the card. */
let cardAnswer: () => Answer | Promise<Answer>;
const respondWithCard = (card_token: string) => () => ({ status: 200, body: { method: 'card', card_token } });
const respondWithErasedCard = () => ({ status: 410, body: { type: 'urn:sidecart:problem:card-erased' } });

function buildOrder(status: string): Order {
  return {
    order_id: ORDER,
    customer_id: CUSTOMER,
    status: orderStatus.parse(status),
    items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 2500 }],
    total: 2500,
    currency: 'EUR',
    version: 2,
    created_at: '2026-01-01T09:00:00Z',
    updated_at: '2026-01-01T09:00:00Z',
  };
}

const deliverRequest = () => service.deliver('payment.requested', { order: buildOrder('RESERVED') });
function requestPayment(card_token = 'tok_visa') {
  cardAnswer = respondWithCard(card_token);
  return deliverRequest();
}
function requestPaymentAfterErasure() {
  cardAnswer = respondWithErasedCard;
  return deliverRequest();
}
const cancel = () => service.deliver('order.cancelled', { order: buildOrder('CANCELLED') });
const expire = () => service.deliver('order.expired', { order: buildOrder('EXPIRED') });
const refund = () => service.http.post(`/api/payments/${ORDER}/refund`).set(ADMIN);

async function payment() {
  const response = await service.http.get(`/api/payments?order_id=${ORDER}`).set(ADMIN);
  return paymentListSchema.parse(response.body).items[0];
}

async function ledger() {
  const response = await service.http.get(`/api/payments/ledger/${ORDER}`).set(ADMIN);
  return response.status === 404 ? undefined : ledgerSchema.parse(response.body);
}

const snapshot = async () => ({
  payment: service.sidecar.documents.get(`payment:${ORDER}`)?.value,
  ledger: (await ledger()) ?? { order_id: ORDER, captured: 0, refunded: 0, captures: [], refunds: [] },
  published: new Set(service.sidecar.published.map((event) => JSON.stringify(event))),
});
const outcomes = () =>
  service.sidecar.published
    .filter(({ type }) => type !== 'payment.refunded')
    .map(({ type, data }) => ({ type, data }));
const failed = (reason: string) => ({ type: 'payment.failed', data: { order_id: ORDER, reason } });

beforeEach(() => start());
afterEach(() => service.stop());

describe('charging', () => {
  it('When payment is requested, then the money is captured once', async () => {
    await requestPayment();

    expect(await ledger()).toMatchObject({ captured: 2500, refunded: 0, captures: [{ amount: 2500 }] });
  });

  it('When payment is requested, then payment.processed has the order and the payment', async () => {
    await requestPayment();

    const { payment_id } = (await payment()) ?? {};
    expect(outcomes()).toEqual([{ type: 'payment.processed', data: { order_id: ORDER, payment_id } }]);
  });

  it('When payment is requested, then the payment is CAPTURED', async () => {
    await requestPayment();

    expect(await payment()).toMatchObject({ status: 'CAPTURED', amount: 2500, refunded: 0, currency: 'EUR' });
  });

  it('When the request is redelivered, then the event is republished', async () => {
    await requestPayment();
    clock += 60_000;
    await requestPayment();

    const [first, second] = service.sidecar.published;
    expect(second).toEqual(first);
  });

  it('When the request is redelivered, then the money is captured once', async () => {
    await requestPayment();
    await requestPayment();

    expect((await ledger())?.captures).toHaveLength(1);
  });

  it('When the request comes five times at once, then all succeed with one capture', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => requestPayment()));

    expect([new Set(answers), (await ledger())?.captures.length]).toEqual([new Set(['SUCCESS']), 1]);
  });

  it.each([
    ['tok_chargeDeclined', 'card declined'],
    ['tok_chargeDeclinedInsufficientFunds', 'insufficient funds'],
    ['tok_nobody_knows', 'unknown card token'],
  ])('When %s is declined, then payment.failed has the reason "%s"', async (token, reason) => {
    await requestPayment(token);

    expect(outcomes()).toEqual([failed(reason)]);
  });

  it('When a declined payment is requested again, then it fails with the same reason', async () => {
    await requestPayment('tok_chargeDeclined');
    await requestPayment('tok_chargeDeclined');

    expect([outcomes()[1], (await payment())?.status]).toEqual([failed('card declined'), 'FAILED']);
  });

  it('When the request is invalid, then it is dropped and nothing is charged', async () => {
    const answer = await service.deliver('payment.requested', { order: {} });

    expect([answer, service.sidecar.documents.size]).toEqual(['DROP', 0]);
  });
});

describe('crashes', () => {
  it('When publishing the outcome fails, then the redelivered request publishes it', async () => {
    service.sidecar.fail('publish');
    const answers = [await requestPayment(), await requestPayment()];

    expect([answers, outcomes().length]).toEqual([['RETRY', 'SUCCESS'], 1]);
  });

  it.each([0, 1, 2, 3, 4])(
    'When the state is unavailable after %i calls, then the redelivered request completes with one capture',
    async (before) => {
      const { documents } = service.sidecar;
      const get = documents.get.bind(documents);
      let calls = 0;
      // The fake sidecar looks up a document once per call of the state API.
      documents.get = (key) => {
        calls += 1;
        if (calls === before) service.sidecar.fail('state');
        return get(key);
      };
      if (before === 0) service.sidecar.fail('state');
      const answers = [await requestPayment(), await requestPayment()];

      expect([answers, (await ledger())?.captures.length, (await payment())?.status]).toEqual([
        ['RETRY', 'SUCCESS'],
        1,
        'CAPTURED',
      ]);
    },
  );

  it('When the CAPTURED write is lost, then the redelivered request captures nothing more', async () => {
    await service.stop();
    let first = true;
    await start((provider) => ({
      capture: async (charge, signal) => {
        const providerDecision = await provider.capture(charge, signal);
        if (first) service.sidecar.fail('state');
        first = false;
        return providerDecision;
      },
    }));
    const answers = [await requestPayment(), await requestPayment()];

    expect([answers, (await ledger())?.captures.length]).toEqual([['RETRY', 'SUCCESS'], 1]);
  });
});

describe('an unresponsive provider', () => {
  it('When it is unreachable twice, then the third delivery captures once', async () => {
    const answers = [
      await requestPayment('tok_flaky'),
      await requestPayment('tok_flaky'),
      await requestPayment('tok_flaky'),
    ];

    expect([answers, (await ledger())?.captures.length]).toEqual([['RETRY', 'RETRY', 'SUCCESS'], 1]);
  });

  it('When it has not responded yet, then no payment is displayed', async () => {
    await requestPayment('tok_flaky');

    expect(await payment()).toBeUndefined();
  });

  it('When it is slow, then later deliveries join the call in progress and the payment is captured', async () => {
    const answers = [await requestPayment('tok_slow')];
    clock += 6_000;
    answers.push(await requestPayment('tok_slow'));
    clock += 2_000;
    answers.push(await requestPayment('tok_slow'));

    expect([answers, (await payment())?.status]).toEqual([['RETRY', 'RETRY', 'SUCCESS'], 'CAPTURED']);
  });

  it('When it is slow and the clock is set back by an hour, then it responds no later than to a new request', async () => {
    clock += 3_600_000;
    const answers = [await requestPayment('tok_slow')];
    clock -= 3_600_000;
    answers.push(await requestPayment('tok_slow'));
    clock += 8_000;
    answers.push(await requestPayment('tok_slow'));

    expect([answers, (await payment())?.status]).toEqual([['RETRY', 'RETRY', 'SUCCESS'], 'CAPTURED']);
  });

  it('When it never responds to a capture, then the fourth delivery reverses it and has the reason', async () => {
    const answers = [];
    for (let delivery = 1; delivery <= 4; delivery++) answers.push(await requestPayment('tok_timeout'));

    expect([answers, outcomes()]).toEqual([
      ['RETRY', 'RETRY', 'RETRY', 'SUCCESS'],
      [failed('provider timeout')],
    ]);
  });

  it('When it never responds to a capture, then captured money is refunded', async () => {
    for (let delivery = 1; delivery <= 4; delivery++) await requestPayment('tok_timeout');

    expect([await ledger(), await payment()]).toMatchObject([
      { captured: 2500, refunded: 2500, captures: [{ amount: 2500 }] },
      { status: 'REFUNDED', refunded: 2500, reason: 'provider timeout' },
    ]);
  });

  it('When it captures after all timeouts, then the next delivery finds that and captures no more', async () => {
    const answers = [await requestPayment('tok_late'), await requestPayment('tok_late')];

    expect([answers, (await ledger())?.captures.length, (await payment())?.status]).toEqual([
      ['RETRY', 'SUCCESS'],
      1,
      'CAPTURED',
    ]);
  });

  it('When it receives everything twice, then it captures once', async () => {
    const answers = [await requestPayment('tok_twice')];

    expect([answers, (await ledger())?.captures.length]).toEqual([['SUCCESS'], 1]);
  });

  it('When it would approve after a refusal, then the refusal counts and nothing is charged', async () => {
    const answers = [await requestPayment('tok_yes_after_no'), await requestPayment('tok_yes_after_no')];

    expect([answers, (await payment())?.status, (await ledger())?.captured ?? 0]).toEqual([
      ['SUCCESS', 'SUCCESS'],
      'FAILED',
      0,
    ]);
  });

  it('When it is always unreachable, then the payment fails and nothing is charged', async () => {
    await service.stop();
    await start(() => ({ authorize: () => Promise.reject(new ProviderError('provider unreachable')) }));
    for (let delivery = 1; delivery <= 4; delivery++) await requestPayment();

    expect([await payment(), (await ledger())?.captured]).toMatchObject([
      { status: 'FAILED', refunded: 0, reason: 'provider unreachable' },
      0,
    ]);
  });

  it('When the reversal gets no response either, then it is retried and nothing more is charged', async () => {
    await service.stop();
    const calls: string[] = [];
    await start((provider) => ({
      capture: (charge, signal) => {
        calls.push('capture');
        return provider.capture(charge, signal);
      },
      refund: async (orderId, signal) => {
        calls.push('refund');
        if (calls.length < 6) throw new ProviderError('provider unreachable');
        return provider.refund(orderId, signal);
      },
    }));
    const answers = [];
    for (let delivery = 1; delivery <= 5; delivery++) answers.push(await requestPayment('tok_timeout'));

    expect([answers.slice(3), calls.slice(4)]).toEqual([
      ['RETRY', 'SUCCESS'],
      ['refund', 'refund'],
    ]);
  });

  it('When a provider ignores its timeout, then the call still ends', async () => {
    await service.stop();
    await start(() => ({ authorize: () => new Promise(() => undefined) }));

    expect(await requestPayment()).toBe('RETRY');
  });
});

describe('orders that end', () => {
  it.each([
    ['cancelled', () => cancel(), 'order cancelled'],
    ['expired', () => expire(), 'order expired'],
  ])('When a paid order is %s, then all money is refunded', async (_how, end, reason) => {
    await requestPayment();
    await end();

    expect([await payment(), await ledger()]).toMatchObject([
      { status: 'REFUNDED', refunded: 2500, reason },
      { captured: 2500, refunded: 2500 },
    ]);
  });

  it('When a paid order is cancelled twice, then it is refunded once', async () => {
    await requestPayment();
    await cancel();
    await cancel();

    expect((await ledger())?.refunds).toHaveLength(1);
  });

  it('When the write after the refund is lost, then the redelivered cancellation refunds nothing more', async () => {
    await service.stop();
    let first = true;
    await start((provider) => ({
      refund: async (orderId, signal) => {
        const refunded = await provider.refund(orderId, signal);
        if (first) service.sidecar.fail('state');
        first = false;
        return refunded;
      },
    }));
    await requestPayment();
    const answers = [await cancel(), await cancel()];

    expect([answers, (await ledger())?.refunds.length, (await payment())?.status]).toEqual([
      ['RETRY', 'SUCCESS'],
      1,
      'REFUNDED',
    ]);
  });

  it('When a cancelled order requests payment late, then it is rejected without charging', async () => {
    await cancel();
    const answer = await requestPayment();

    expect([answer, outcomes(), (await ledger())?.captures]).toEqual([
      'SUCCESS',
      [failed('order cancelled')],
      [],
    ]);
  });

  it('When an order is cancelled before payment was requested, then no payment is displayed', async () => {
    await cancel();
    await requestPayment();

    expect(await payment()).toBeUndefined();
  });

  it('When an order is cancelled before the provider responds, then captured money is refunded', async () => {
    await requestPayment('tok_timeout');
    await cancel();
    await requestPayment('tok_timeout');

    expect([await ledger(), outcomes()]).toMatchObject([
      { captured: 2500, refunded: 2500 },
      [failed('order cancelled')],
    ]);
  });

  it('When a failed order is cancelled, then the payment is unchanged', async () => {
    await requestPayment('tok_chargeDeclined');
    const before = await payment();
    await cancel();

    expect(await payment()).toEqual(before);
  });
});

describe('a cancellation that races the charge', () => {
  const POINTS = {
    'before the authorization': (provider) => ({
      authorize: async (charge, signal) => {
        await cancel();
        return provider.authorize(charge, signal);
      },
    }),
    'before the capture': (provider) => ({
      capture: async (charge, signal) => {
        await cancel();
        return provider.capture(charge, signal);
      },
    }),
    'after the capture': (provider) => ({
      capture: async (charge, signal) => {
        const providerDecision = await provider.capture(charge, signal);
        await cancel();
        return providerDecision;
      },
    }),
    'before the capture, at a provider that loses the void': (provider) => {
      let cancelled = false;
      return {
        capture: async (charge, signal) => {
          await cancel();
          cancelled = true;
          return provider.capture(charge, signal);
        },
        refund: (orderId, signal) => (cancelled ? provider.refund(orderId, signal) : Promise.resolve(0)),
      };
    },
  } satisfies Record<string, (provider: PaymentProvider) => Partial<PaymentProvider>>;
  const points = Object.keys(POINTS) as (keyof typeof POINTS)[];

  it.each(points)('When it comes %s, then no money is captured in the end', async (point) => {
    await service.stop();
    await start(POINTS[point]);
    const answer = await requestPayment();

    const { captured, refunded } = (await ledger()) ?? { captured: 0, refunded: 0 };
    expect([answer, captured - refunded]).toEqual(['SUCCESS', 0]);
  });

  it.each(points)('When it comes %s, then the outcome is payment.failed', async (point) => {
    await service.stop();
    await start(POINTS[point]);
    await requestPayment();

    expect(outcomes().map(({ type }) => type)).toEqual(['payment.failed']);
  });

  it('When it comes before the capture, then the voided authorization is not captured', async () => {
    await service.stop();
    await start(POINTS['before the capture']);
    await requestPayment();

    expect((await ledger())?.captures).toEqual([]);
  });

  it.each(points.slice(1))('When it comes %s, then the payment has the refunded amount', async (point) => {
    await service.stop();
    await start(POINTS[point]);
    await requestPayment();

    const refunded = (await ledger())?.refunded ?? 0;
    expect(await payment()).toMatchObject({ refunded, status: refunded > 0 ? 'REFUNDED' : 'FAILED' });
  });
});

describe('the card of an order', () => {
  it('When payment is requested, then payments fetches the card from orders, once', async () => {
    await requestPayment();

    expect(service.sidecar.calls.map(({ target, method, path }) => [target, method, path])).toEqual([
      ['orders', 'GET', `/orders/${ORDER}/payment-method`],
    ]);
  });

  it.each([
    ['captured', 'tok_visa', 'payment.processed'],
    ['declined', 'tok_chargeDeclined', 'payment.failed'],
  ])(
    'When the payment is %s and the request is redelivered, then no card is needed',
    async (_, card, outcome) => {
      await requestPayment(card);
      await requestPaymentAfterErasure();

      expect(service.sidecar.published.map(({ type }) => type)).toEqual([outcome, outcome]);
      expect(service.sidecar.calls).toHaveLength(1);
    },
  );

  it('When the order ended before payment was requested, then nothing is charged, now or later', async () => {
    await requestPaymentAfterErasure();
    await requestPayment();

    expect([await ledger(), new Set(outcomes().map(({ type }) => type))]).toMatchObject([
      { captured: 0 },
      new Set(['payment.failed']),
    ]);
  });

  it.each([
    ['the provider has not answered', 'tok_flaky'],
    ['the provider has captured without an answer', 'tok_timeout'],
  ])('When %s and the order has ended, then no money is captured in the end', async (_, card) => {
    expect(await requestPayment(card)).toBe('RETRY');
    expect(await requestPaymentAfterErasure()).toBe('SUCCESS');

    const { captured = 0, refunded = 0 } = (await ledger()) ?? {};
    expect([captured - refunded, outcomes().at(-1)?.type]).toEqual([0, 'payment.failed']);
  });

  it('When another delivery completes the payment meanwhile, then the money stays captured', async () => {
    cardAnswer = async () => {
      await requestPayment();
      return respondWithErasedCard();
    };
    expect(await deliverRequest()).toBe('SUCCESS');

    expect([await payment(), await ledger()]).toMatchObject([
      { status: 'CAPTURED' },
      { captured: 2500, refunded: 0 },
    ]);
    expect(new Set(outcomes().map(({ type }) => type))).toEqual(new Set(['payment.processed']));
  });

  it.each([
    ['is not there', 503],
    ['does not know the order', 404],
    ['does not believe payments', 403],
  ])('When orders %s, then the request is redelivered and nothing is saved', async (_, status) => {
    cardAnswer = () => ({ status, body: { type: 'urn:sidecart:problem:any' } });
    expect(await deliverRequest()).toBe('RETRY');

    expect(service.sidecar.documents.size).toBe(0);
  });
});

describe('every message in every state, twice', () => {
  const STATES = {
    none: () => Promise.resolve(),
    REQUESTED: () => requestPayment('tok_flaky'),
    AUTHORIZED: () => requestPayment('tok_timeout'),
    CAPTURED: () => requestPayment(),
    FAILED: () => requestPayment('tok_chargeDeclined'),
    REFUNDED: () => requestPayment().then(() => cancel()),
    REFUSED: () => cancel(),
  };
  const MESSAGES = {
    'payment.requested': () => requestPayment(),
    'payment.requested after the card was erased': requestPaymentAfterErasure,
    cancel,
    expire,
    refund,
  };
  const cases = Object.keys(STATES).flatMap((state) =>
    Object.keys(MESSAGES).map((message) => [state, message] as [keyof typeof STATES, keyof typeof MESSAGES]),
  );

  it.each(cases)(
    'When it is %s and "%s" is repeated, then the repetition changes nothing',
    async (state, message) => {
      await STATES[state]();
      await MESSAGES[message]();
      const before = await snapshot();
      clock += 60_000;
      await MESSAGES[message]();

      expect(await snapshot()).toEqual(before);
    },
  );
});

const get = (query: string, caller: Record<string, string> = {}) =>
  service.http.get(`/api/payments${query}`).set(caller);

describe('GET /api/payments', () => {
  it('When the customer calls, then the list has the payment', async () => {
    await requestPayment();
    const response = await get(`?order_id=${ORDER}`, asCaller(CUSTOMER));

    expect(paymentListSchema.parse(response.body).items).toMatchObject([{ order_id: ORDER }]);
  });

  it('When another customer calls, then the list is empty', async () => {
    await requestPayment();
    const response = await get(`?order_id=${ORDER}`, asCaller(OTHER_ORDER));

    expect(response.body).toEqual({ items: [], next_cursor: null });
  });

  it('When there is no caller, then 401', async () => {
    expect((await get(`?order_id=${ORDER}`)).status).toBe(401);
  });

  it.each(['', '?order_id=', '?order_id=1', `?order_id=${ORDER}&order_id=${ORDER}`])(
    'When the query is "%s", then the 400 names order_id',
    async (query) => {
      const response = await get(query, ADMIN);

      expect([response.status, response.body]).toMatchObject([400, { errors: [{ field: 'order_id' }] }]);
    },
  );
});

describe('a refund is an event', () => {
  const refunds = () => service.sidecar.published.filter(({ type }) => type === 'payment.refunded');
  const JOB = `refund-${ORDER}`;
  const fireJob = () => service.triggerJob(JOB);

  it('When an administrator refunds, then the event has the refunded amount', async () => {
    await requestPayment();
    await refund();
    const { payment_id } = (await payment()) ?? {};

    expect(refunds()).toMatchObject([
      {
        id: `${payment_id}:payment.refunded:2500`,
        source: 'payments',
        subject: ORDER,
        data: { order_id: ORDER, payment_id, refunded: 2500, currency: 'EUR' },
      },
    ]);
  });

  it('When an administrator refunds twice, then the event is republished', async () => {
    await requestPayment();
    await refund();
    clock += 60_000;
    await refund();

    const [first, second] = refunds();
    expect(second).toEqual(first);
  });

  it.each([
    ['cancelled', cancel],
    ['expired', expire],
  ])('When a paid order is %s, twice, then each message publishes the event', async (_, end) => {
    await requestPayment();
    await end();
    await end();

    expect(refunds()).toMatchObject([{ data: { refunded: 2500 } }, { data: { refunded: 2500 } }]);
  });

  it('When nothing was captured, then there is no event', async () => {
    await cancel();
    await requestPayment('tok_chargeDeclined');

    expect(refunds()).toEqual([]);
  });

  it.each(['PENDING', 'RESERVED', 'PAID', 'CANCELLED', 'EXPIRED', 'PAYMENT_FAILED', 'REJECTED'])(
    'When the order is %s, then the refund is rejected',
    async (status) => {
      await requestPayment();
      order = buildOrder(status);
      const response = await refund();

      expect([response.status, slugOf(response), (await ledger())?.refunded]).toEqual([
        409,
        'order-not-delivered',
        0,
      ]);
      expect([refunds(), service.sidecar.jobs.size]).toEqual([[], 0]);
      expect((response.body as { detail: string }).detail).toContain('Cancel the order instead');
    },
  );

  it.each(['SHIPPED', 'DELIVERED'])('When the order is %s, then it is refunded', async (status) => {
    await requestPayment();
    order = buildOrder(status);

    expect([(await refund()).status, (await ledger())?.refunded]).toEqual([200, 2500]);
  });

  it('When the order was refunded by its cancellation, then the response has that payment', async () => {
    await requestPayment();
    await cancel();
    order = buildOrder('CANCELLED');
    const response = await refund();

    expect([response.status, response.body]).toMatchObject([200, { status: 'REFUNDED', refunded: 2500 }]);
    expect((await ledger())?.refunds).toHaveLength(1);
  });

  it('When orders is unavailable, then 503 and nothing is refunded', async () => {
    await requestPayment();
    service.sidecar.answer('orders', () => ({ status: 500 }));

    expect([(await refund()).status, (await ledger())?.refunded]).toEqual([503, 0]);
  });

  it('When no job can be scheduled, then 503 and nothing is refunded', async () => {
    await requestPayment();
    service.sidecar.fail('schedule');

    expect([(await refund()).status, (await ledger())?.refunded]).toEqual([503, 0]);
  });

  it('When the job is scheduled, then nothing is refunded yet', async () => {
    await service.stop();
    let jobs = -1;
    await start(({ refund: refundAll }) => ({
      refund: (...call) => {
        jobs = service.sidecar.jobs.size;
        return refundAll(...call);
      },
    }));
    await requestPayment();
    await refund();

    expect(jobs).toBe(1);
  });

  it('When publishing fails, then the job publishes the event', async () => {
    await requestPayment();
    service.sidecar.fail('publish');
    expect((await refund()).status).toBe(200);
    expect(refunds()).toEqual([]);
    expect(await fireJob()).toBe(200);

    expect([refunds().length, service.sidecar.jobs.has(JOB)]).toEqual([1, true]);
  });

  it('When the service dies after the call to the provider, then the job saves and publishes', async () => {
    await requestPayment();
    service.sidecar.onStateCall(({ op, keys }) => {
      if (op === 'write' && keys.includes(`payment:${ORDER}`)) throw new Error('it ended here');
    });
    expect((await refund()).status).toBe(503);
    service.sidecar.onStateCall(() => {});
    expect(await fireJob()).toBe(200);

    expect([(await payment())?.status, (await ledger())?.refunds.length, refunds().length]).toEqual([
      'REFUNDED',
      1,
      1,
    ]);
  });

  it('When the order does not show the refund, then the job runs again', async () => {
    await requestPayment();
    await refund();
    await fireJob();
    await fireJob();

    expect([refunds().length, service.sidecar.jobs.has(JOB)]).toEqual([3, true]);
  });

  it('When the order shows the refund, then the job ends', async () => {
    await requestPayment();
    await refund();
    order = { ...buildOrder('DELIVERED'), refunded: 2500 };
    expect(await fireJob()).toBe(200);

    expect([refunds().length, service.sidecar.jobs.has(JOB)]).toEqual([1, false]);
  });

  it('When the order no longer exists, then the job ends', async () => {
    await requestPayment();
    await refund();
    order = undefined;
    expect(await fireJob()).toBe(200);

    expect(service.sidecar.jobs.size).toBe(0);
  });
});

describe('POST /api/payments/:order_id/refund', () => {
  it('When an administrator refunds, then the response has the REFUNDED payment', async () => {
    await requestPayment();
    const response = await refund();

    expect([response.status, response.body]).toMatchObject([
      200,
      { order_id: ORDER, status: 'REFUNDED', refunded: 2500 },
    ]);
  });

  it('When an administrator refunds twice, then the response is the same with one refund', async () => {
    await requestPayment();
    const [first, second] = [await refund(), await refund()];

    expect([second.body, (await ledger())?.refunds.length]).toEqual([first.body, 1]);
  });

  it('When an administrator repeats the request with the same key, then the first response is replayed', async () => {
    await requestPayment();
    const key = { 'idempotency-key': 'refund-1' };
    const [first, second] = [await refund().set(key), await refund().set(key)];

    expect([second.status, second.body, second.headers['idempotent-replayed']]).toEqual([
      200,
      first.body,
      'true',
    ]);
    expect((await ledger())?.refunds).toHaveLength(1);
  });

  it('When nothing was captured yet, then the same key can be tried again later', async () => {
    const key = { 'idempotency-key': 'refund-1' };
    const early = await refund().set(key);
    await requestPayment();
    const late = await refund().set(key);

    expect([early.status, late.status, late.headers['idempotent-replayed']]).toEqual([404, 200, undefined]);
  });

  it('When a refunded payment is requested again, then it is not charged again', async () => {
    await requestPayment();
    await refund();
    await requestPayment();

    expect([await ledger(), outcomes().at(-1)]).toMatchObject([
      { captured: 2500, refunded: 2500 },
      failed('refunded by the shop'),
    ]);
  });

  it.each([
    ['declined', () => requestPayment('tok_chargeDeclined'), 409],
    ['authorized', () => requestPayment('tok_timeout'), 409],
    ['not answered yet', () => requestPayment('tok_flaky'), 404],
    ['unknown', () => Promise.resolve(), 404],
  ])('When the payment is %s, then the response is %o', async (_state, arrange, status) => {
    await arrange();

    expect((await refund()).status).toBe(status);
  });

  it('When the provider does not respond, then 503 and the payment is unchanged', async () => {
    await service.stop();
    await start(() => ({ refund: () => Promise.reject(new ProviderError('provider unreachable')) }));
    await requestPayment();

    expect([(await refund()).status, (await payment())?.status]).toEqual([503, 'CAPTURED']);
  });

  it.each([
    ['a malformed id', '/api/payments/1/refund', ADMIN, {}, 404],
    ['an id that is a path', '/api/payments/%2e%2e%2fledger/refund', ADMIN, {}, 404],
    ['a customer', `/api/payments/${ORDER}/refund`, asCaller(CUSTOMER), {}, 403],
    ['nobody', `/api/payments/${ORDER}/refund`, {}, {}, 401],
    ['an amount', `/api/payments/${ORDER}/refund`, ADMIN, { amount: 1 }, 422],
  ])('When it comes with %s, then nothing is refunded', async (_what, path, caller, body, status) => {
    await requestPayment();
    const response = await service.http.post(path).set(caller).send(body);

    expect([response.status, (await ledger())?.refunded]).toEqual([status, 0]);
  });
});

describe('GET /api/payments/ledger/:order_id', () => {
  it.each([
    ['an administrator', ORDER, ADMIN, 200],
    ['a customer', ORDER, asCaller(CUSTOMER), 403],
    ['nobody', ORDER, {}, 401],
    ['an unknown order', OTHER_ORDER, ADMIN, 404],
    ['a malformed id', 'x', ADMIN, 404],
  ])('When %s calls, then the status is right', async (_who, orderId, caller, status) => {
    await requestPayment();

    expect((await service.http.get(`/api/payments/ledger/${orderId}`).set(caller)).status).toBe(status);
  });
});

it('When cards of all kinds are charged, then no card token is logged, published or saved', async () => {
  for (const token of ['tok_visa', 'tok_chargeDeclined', 'tok_flaky', 'tok_timeout', 'tok_other']) {
    await requestPayment(token);
    service.sidecar.documents.delete(`payment:${ORDER}`);
  }
  const traces = JSON.stringify([service.logs, service.sidecar.published, [...service.sidecar.documents]]);
  expect(traces).not.toContain('tok_');
});

it('When a payment is captured, then the metrics count it', async () => {
  await requestPayment();
  await requestPayment();

  expect((await service.http.get('/metrics')).text).toContain(
    'payments_processed_total{status="CAPTURED"} 1',
  );
});
