import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ledgerSchema, paymentListSchema } from '../../services/payments/contract.ts';
import { createApp } from '../../services/payments/app.ts';
import { ProviderError, type PaymentProvider } from '../../services/payments/provider.ts';
import { createSimulatedProvider } from '../../services/payments/simulated-provider.ts';
import { orderStatus, type Order } from '../../services/orders/contract.ts';
import type { Answer } from '../support/fake-sidecar.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

/** The conformance kit has the rules that hold in every language (tests/contract/payments.test.ts). These need a provider of their own. */
const ORDER = '019b0000-0000-7000-8000-000000000001';
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
const cancel = () => service.deliver('order.cancelled', { order: buildOrder('CANCELLED') });
const refund = () => service.http.post(`/api/payments/${ORDER}/refund`).set(ADMIN);

async function payment() {
  const response = await service.http.get(`/api/payments?order_id=${ORDER}`).set(ADMIN);
  return paymentListSchema.parse(response.body).items[0];
}

async function ledger() {
  const response = await service.http.get(`/api/payments/ledger/${ORDER}`).set(ADMIN);
  return response.status === 404 ? undefined : ledgerSchema.parse(response.body);
}

const outcomes = () =>
  service.sidecar.published
    .filter(({ type }) => type !== 'payment.refunded')
    .map(({ type, data }) => ({ type, data }));

beforeEach(() => start());
afterEach(() => service.stop());

describe('crashes', () => {
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
  it('When it is slow and the clock is set back by an hour, then it responds no later than to a new request', async () => {
    clock += 3_600_000;
    const answers = [await requestPayment('tok_slow')];
    clock -= 3_600_000;
    answers.push(await requestPayment('tok_slow'));
    clock += 8_000;
    answers.push(await requestPayment('tok_slow'));

    expect([answers, (await payment())?.status]).toEqual([['RETRY', 'RETRY', 'SUCCESS'], 'CAPTURED']);
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

describe('a refund is an event', () => {
  it('When refund.requested is published, then nothing is refunded yet', async () => {
    await service.stop();
    let published: string[] = [];
    await start(({ refund: refundAll }) => ({
      refund: (...call) => {
        published = service.sidecar.published.map(({ type }) => type);
        return refundAll(...call);
      },
    }));
    await requestPayment();
    await refund();

    expect(published).toEqual(['payment.processed', 'refund.requested']);
  });
});

describe('POST /api/payments/:order_id/refund', () => {
  it('When the provider does not respond, then 503 and the payment is unchanged', async () => {
    await service.stop();
    await start(() => ({ refund: () => Promise.reject(new ProviderError('provider unreachable')) }));
    await requestPayment();

    expect([(await refund()).status, (await payment())?.status]).toEqual([503, 'CAPTURED']);
  });
});

describe('PUT /refunds/:order_id/:return_id', () => {
  const RETURNS = ['019b0000-0000-7000-8000-0000000000d1', '019b0000-0000-7000-8000-0000000000d2'];
  const refundReturn = async (amount: number, which = 0) =>
    service.http.put(`/refunds/${ORDER}/${RETURNS[which]}`).send({ amount });

  it('When a return is refunded twice, also at once, then its price is given back once', async () => {
    await requestPayment();
    const responses = await Promise.all([refundReturn(1000), refundReturn(1000)]);
    expect((await refundReturn(1000)).body).toEqual({ amount: 1000, refunded: 1000, currency: 'EUR' });
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    expect(await ledger()).toMatchObject({ captured: 2500, refunded: 1000, refunds: [{ amount: 1000 }] });
    expect(await payment()).toMatchObject({ status: 'CAPTURED', refunded: 1000 });
  });

  it('When two returns exceed what was captured, then no more is given back', async () => {
    await requestPayment();
    await refundReturn(2000);
    expect((await refundReturn(1000, 1)).body).toMatchObject({ amount: 500, refunded: 2500 });
    expect(await payment()).toMatchObject({ status: 'REFUNDED', refunded: 2500 });
    expect((await ledger())?.refunded).toBe(2500);
  });

  it('When the shop refunds the rest, then nothing is left for another return', async () => {
    await requestPayment();
    await refundReturn(1000);
    expect((await refund()).body).toMatchObject({ refunded: 2500 });
    expect((await refundReturn(500, 1)).body).toMatchObject({ amount: 0, refunded: 2500 });
  });

  it('When nothing was captured, then nothing is given back', async () => {
    expect((await refundReturn(1000)).status).toBe(404);
    await requestPayment('tok_chargeDeclined');
    expect(slugOf(await refundReturn(1000))).toBe('nothing-captured');
  });

  it('When the answer of the provider is lost, then a repeated call gives back once', async () => {
    await service.stop();
    let calls = 0;
    await start((provider) => ({
      refundPart: async (part, signal) => {
        const answer = await provider.refundPart(part, signal);
        calls += 1;
        if (calls === 1) throw new ProviderError('provider timeout');
        return answer;
      },
    }));
    await requestPayment();
    expect((await refundReturn(1000)).status).toBe(503);
    expect((await refundReturn(1000)).body).toMatchObject({ amount: 1000, refunded: 1000 });
    expect((await ledger())?.refunds).toHaveLength(1);
  });
});
