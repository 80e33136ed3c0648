import { Problem } from '../shared/problem.ts';

/** What is to be paid, and by which card. `order_id` is the idempotency key of every call about it. */
export interface Charge {
  order_id: string;
  /** Minor units. */
  amount: number;
  currency: string;
  card_token: string;
}

/** The provider's answer. A card that is declined is an answer, not an error. */
export type Verdict = { approved: true } | { approved: false; reason: string };

/** Money taken or given back. */
export interface Movement {
  /** Minor units. */
  amount: number;
  at: string;
}

/** What the provider has on its books for an order. */
export interface Statement {
  captures: Movement[];
  refunds: Movement[];
}

/**
 * Whoever moves the money. A call that is made again for the same order has the same effect and answer as made once.
 *
 * All calls: @throws ProviderError where the provider gives no answer; whether it did what was asked is then not known.
 */
export interface PaymentProvider {
  /** Sets the amount aside on the card. */
  authorize: (charge: Charge, signal: AbortSignal) => Promise<Verdict>;
  /** Takes what was authorized. Declined where the authorization was voided since. */
  capture: (charge: Charge, signal: AbortSignal) => Promise<Verdict>;
  /** Gives back all that was captured, voids what was only authorized; gives the amount refunded, in total. */
  refund: (orderId: string, signal: AbortSignal) => Promise<number>;
  /** The provider's own books, for reconciliation; undefined where it knows nothing of the order. */
  statement: (orderId: string, signal: AbortSignal) => Promise<Statement | undefined>;
}

/** The provider gave no answer; the same call may be made again. */
export class ProviderError extends Problem {
  readonly reason: 'provider timeout' | 'provider unreachable';

  constructor(reason: ProviderError['reason']) {
    super(503, 'unavailable', 'The payment provider does not answer right now. Please try again.');
    this.reason = reason;
  }
}

/** A provider whose every call ends in time. */
export type BoundedProvider = ReturnType<typeof bounded>;

/** Bounds every call: past `timeoutMs` the call is aborted and counts as not answered, whatever the provider does. */
export function bounded(provider: PaymentProvider, timeoutMs: number) {
  async function inTime<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const { signal } = controller;
    const timedOut = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new ProviderError('provider timeout')), { once: true });
    });
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await Promise.race([timedOut, call(signal)]);
    } finally {
      clearTimeout(timer);
    }
  }
  return {
    authorize: (charge: Charge) => inTime((signal) => provider.authorize(charge, signal)),
    capture: (charge: Charge) => inTime((signal) => provider.capture(charge, signal)),
    refund: (orderId: string) => inTime((signal) => provider.refund(orderId, signal)),
    statement: (orderId: string) => inTime((signal) => provider.statement(orderId, signal)),
  };
}
