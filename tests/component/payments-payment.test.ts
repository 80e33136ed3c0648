import { describe, expect, it } from 'vitest';
import {
  authorized,
  blocked,
  captured,
  declined,
  isSettled,
  outcomeEvent,
  publicPayment,
  requested,
  reversed,
  withFailedAttempt,
  type PaymentDocument,
} from '../../services/payments/domain/payment.ts';
import { nextStep, type PaymentTrigger, type Step } from '../../services/payments/domain/state-machine.ts';

const MAX_ATTEMPTS = 4;
const AT = '2026-01-01T10:00:00.000Z';
const LATER = '2026-01-01T11:00:00.000Z';

const requestedPayment = requested(
  {
    order_id: '019b0000-0000-7000-8000-000000000001',
    customer_id: '019b0000-0000-7000-8000-0000000000c1',
    status: 'RESERVED',
    items: [],
    total: 2500,
    currency: 'EUR',
    version: 2,
    created_at: AT,
    updated_at: AT,
  },
  '019b0000-0000-7000-8000-0000000000f1',
  AT,
);
const PAYMENTS = {
  none: undefined,
  REQUESTED: withFailedAttempt(requestedPayment, 'provider timeout'),
  AUTHORIZED: authorized(requestedPayment, AT),
  CAPTURED: captured(authorized(requestedPayment, AT), AT),
  FAILED: declined(requestedPayment, 'card declined', AT),
  REFUNDED: reversed(captured(requestedPayment, AT), 2500, 'order cancelled', AT),
  REFUSED: blocked(requestedPayment, 'order cancelled'),
} satisfies Record<string, PaymentDocument | undefined>;

type State = keyof typeof PAYMENTS;

const TABLE: [State, Record<PaymentTrigger, Step>][] = [
  [
    'none',
    { 'payment.requested': 'authorize', 'card-erased': 'block', 'order-ended': 'block', refund: 'nothing' },
  ],
  [
    'REQUESTED',
    {
      'payment.requested': 'authorize',
      'card-erased': 'reverse',
      'order-ended': 'reverse',
      refund: 'nothing',
    },
  ],
  [
    'AUTHORIZED',
    { 'payment.requested': 'capture', 'card-erased': 'reverse', 'order-ended': 'reverse', refund: 'nothing' },
  ],
  [
    'CAPTURED',
    { 'payment.requested': 'nothing', 'card-erased': 'nothing', 'order-ended': 'reverse', refund: 'reverse' },
  ],
  [
    'FAILED',
    { 'payment.requested': 'reverse', 'card-erased': 'nothing', 'order-ended': 'nothing', refund: 'nothing' },
  ],
  [
    'REFUNDED',
    { 'payment.requested': 'reverse', 'card-erased': 'nothing', 'order-ended': 'nothing', refund: 'nothing' },
  ],
  [
    'REFUSED',
    { 'payment.requested': 'reverse', 'card-erased': 'nothing', 'order-ended': 'nothing', refund: 'nothing' },
  ],
];
const CASES = TABLE.flatMap(([state, steps]) =>
  Object.entries(steps).map(([message, step]): [State, PaymentTrigger, Step] => [
    state,
    message as PaymentTrigger,
    step,
  ]),
);

describe('the next step of a payment', () => {
  it.each(CASES)('When it is %s and "%s" arrives, then the step is "%s"', (state, message, step) => {
    expect(nextStep(PAYMENTS[state], message, MAX_ATTEMPTS)).toBe(step);
  });

  it.each(['REQUESTED', 'AUTHORIZED'] as const)(
    'When it is %s and the attempts are used up, then it is reversed and not charged',
    (state) => {
      const payment = { ...PAYMENTS[state], attempts: MAX_ATTEMPTS };

      expect(nextStep(payment, 'payment.requested', MAX_ATTEMPTS)).toBe('reverse');
    },
  );

  it('When a payment is captured after many attempts, then it stays captured', () => {
    const payment = { ...PAYMENTS.CAPTURED, attempts: MAX_ATTEMPTS };

    expect(nextStep(payment, 'payment.requested', MAX_ATTEMPTS)).toBe('nothing');
  });
});

describe('a reversal', () => {
  it.each([
    ['REQUESTED', 0, 'FAILED'],
    ['REQUESTED', 2500, 'REFUNDED'],
    ['AUTHORIZED', 0, 'FAILED'],
    ['AUTHORIZED', 2500, 'REFUNDED'],
    ['CAPTURED', 2500, 'REFUNDED'],
    ['FAILED', 0, 'FAILED'],
    ['FAILED', 2500, 'REFUNDED'],
    ['REFUNDED', 2500, 'REFUNDED'],
    ['REFUSED', 0, 'REFUSED'],
    ['REFUSED', 2500, 'REFUNDED'],
  ] as const)('When it is %s and %i are refunded, then it is %s', (state, refunded, status) => {
    expect(reversed(PAYMENTS[state], refunded, 'why', LATER)).toMatchObject({ status, refunded });
  });

  it.each(['REQUESTED', 'AUTHORIZED', 'CAPTURED', 'FAILED', 'REFUNDED', 'REFUSED'] as const)(
    'When a payment that was %s is reversed twice, then the second reversal changes nothing',
    (state) => {
      const reversedOnce = reversed(PAYMENTS[state], 2500, 'order cancelled', AT);

      expect(reversed(reversedOnce, 2500, 'another reason', LATER)).toBe(reversedOnce);
    },
  );

  it('When a free order that was captured is reversed, then it is REFUNDED', () => {
    const free = captured({ ...requestedPayment, amount: 0 }, AT);

    expect(reversed(free, 0, 'order cancelled', AT).status).toBe('REFUNDED');
  });
});

describe('the event of a payment', () => {
  it.each([
    ['CAPTURED', 'payment.processed'],
    ['FAILED', 'payment.failed'],
    ['REFUNDED', 'payment.failed'],
    ['REFUSED', 'payment.failed'],
  ] as const)('When it is %s, then it is settled and "%s" is published', (state, type) => {
    expect([isSettled(PAYMENTS[state]), outcomeEvent(PAYMENTS[state]).type]).toEqual([true, type]);
  });

  it.each(['REQUESTED', 'AUTHORIZED'] as const)('When it is %s, then it is not settled', (state) => {
    expect(isSettled(PAYMENTS[state])).toBe(false);
  });

  it.each(['REQUESTED', 'REFUSED'] as const)('When it is %s, then it is not displayed', (state) => {
    expect(publicPayment(PAYMENTS[state])).toBeUndefined();
  });

  it('When it is displayed, then its customer and its attempts are hidden', () => {
    expect(publicPayment(PAYMENTS.AUTHORIZED)).toEqual({
      payment_id: requestedPayment.payment_id,
      order_id: requestedPayment.order_id,
      status: 'AUTHORIZED',
      amount: 2500,
      refunded: 0,
      currency: 'EUR',
    });
  });
});
