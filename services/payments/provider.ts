import { ProblemError } from '../shared/http/problem.ts';

/** An amount to charge to a card. `order_id` is the idempotency key of every call about it. */
export interface Charge {
  order_id: string;
  /** Minor units. */
  amount: number;
  currency: string;
  card_token: string;
}

/** The provider's answer. A declined card is an answer, not an error. */
export type ProviderDecision = { approved: true } | { approved: false; reason: string };

/** A part of a captured amount to give back. `return_id` is the idempotency key. */
export interface PartialRefund {
  order_id: string;
  return_id: string;
  /** Minor units. The provider gives back less if less is left of what was captured. */
  amount: number;
}

/** An amount that was captured or refunded. */
export interface LedgerEntry {
  /** Minor units. */
  amount: number;
  at: string;
  /** The return that a partial refund belongs to. */
  return_id?: string | undefined;
}

/** The provider's records of an order. */
export interface ProviderLedger {
  captures: LedgerEntry[];
  refunds: LedgerEntry[];
}

export function totalOf(entries: readonly LedgerEntry[]): number {
  return entries.reduce((sum, { amount }) => sum + amount, 0);
}

/**
 * A payment provider. A repeated call for the same order has the effect and answer of one call.
 *
 * All calls: @throws ProviderError if the provider gives no answer. Its effect is then unknown.
 */
export interface PaymentProvider {
  /** Sets the amount aside on the card. */
  authorize: (charge: Charge, signal: AbortSignal) => Promise<ProviderDecision>;
  /** Captures the authorized amount. It declines if the authorization was voided since. */
  capture: (charge: Charge, signal: AbortSignal) => Promise<ProviderDecision>;
  /** Refunds all that was captured, or voids the authorization. Returns the total that was refunded. */
  refund: (orderId: string, signal: AbortSignal) => Promise<number>;
  /** Refunds a part of what was captured. Returns the amount of this refund, and the total of all refunds of the order. */
  refundPart: (part: PartialRefund, signal: AbortSignal) => Promise<{ amount: number; total: number }>;
  /** The provider's own records, for reconciliation; undefined if it does not know the order. */
  ledger: (orderId: string, signal: AbortSignal) => Promise<ProviderLedger | undefined>;
}

/** The provider gave no answer. The same call may be repeated. */
export class ProviderError extends ProblemError {
  readonly reason: 'provider timeout' | 'provider unreachable';

  constructor(reason: ProviderError['reason']) {
    super(503, 'unavailable', 'The payment provider is unavailable. Try again later.');
    this.reason = reason;
  }
}

/** A provider whose calls have a time limit. */
export type TimeLimitedProvider = ReturnType<typeof withTimeout>;

/** Limits the time of every call. After `timeoutMs` the call is aborted and counts as not answered. */
export function withTimeout(provider: PaymentProvider, timeoutMs: number) {
  async function withLimit<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(timeoutMs);
    // The listener precedes those of the call, so the caller gets this error.
    const timedOut = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new ProviderError('provider timeout')), { once: true });
    });
    return Promise.race([timedOut, call(signal)]);
  }
  return {
    authorize: (charge: Charge) => withLimit((signal) => provider.authorize(charge, signal)),
    capture: (charge: Charge) => withLimit((signal) => provider.capture(charge, signal)),
    refund: (orderId: string) => withLimit((signal) => provider.refund(orderId, signal)),
    refundPart: (part: PartialRefund) => withLimit((signal) => provider.refundPart(part, signal)),
    ledger: (orderId: string) => withLimit((signal) => provider.ledger(orderId, signal)),
  };
}
