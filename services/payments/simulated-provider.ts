import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import { retryOnConflict, type StateStore } from '../shared/dapr/state-store.ts';
import type { SimulatedLedger } from './contract.ts';
import { ProviderError, totalOf, type PaymentProvider, type ProviderDecision } from './provider.ts';

const keyOf = (orderId: string) => `ledger:${orderId}`;
const EMPTY: SimulatedLedger = { captures: [], refunds: [] };
const APPROVED: ProviderDecision = { approved: true };
const declined = (reason: string): ProviderDecision => ({ approved: false, reason });

/**
 * A provider that answers by card token. It keeps its ledger in this service's state, so that it survives a restart.
 *
 * | token | answer |
 * | --- | --- |
 * | `tok_visa` | approved |
 * | `tok_chargeDeclined`, `tok_chargeDeclinedInsufficientFunds` | declined |
 * | `tok_slow` | approved, `slowMs` after the first call |
 * | `tok_flaky` | unreachable twice, then approved |
 * | `tok_timeout` | captured, but the answer never arrives |
 * | `tok_late` | as `tok_timeout`, but captured after the caller has given up; the next call finds the capture |
 * | `tok_twice` | approved; every call reaches the provider twice at once |
 * | `tok_yes_after_no` | declined; approved by a second call |
 */
export function createSimulatedProvider(deps: {
  state: StateStore;
  now: () => Date;
  slowMs: number;
}): PaymentProvider {
  const { state, slowMs } = deps;
  const at = () => deps.now().toISOString();

  /** Writes nothing if `change` returns the same ledger. */
  async function edit(
    orderId: string,
    change: (ledger: SimulatedLedger) => SimulatedLedger,
  ): Promise<SimulatedLedger> {
    return retryOnConflict(async () => {
      const stored = await state.get<SimulatedLedger>(keyOf(orderId));
      const before = stored?.value ?? EMPTY;
      const after = change(before);
      if (after !== before)
        await state.write({ op: 'put', key: keyOf(orderId), value: after, etag: stored?.etag });
      return after;
    });
  }

  async function respondSlowly(orderId: string, signal: AbortSignal): Promise<ProviderDecision> {
    const started_at = at();
    // A start in the future comes from a clock that was set back since. It begins now.
    const hasBegun = (known: SimulatedLedger) =>
      known.started_at !== undefined && known.started_at <= started_at;
    const ledger = await edit(orderId, (known) => (hasBegun(known) ? known : { ...known, started_at }));
    const answersAt = Date.parse(ledger.started_at ?? started_at) + slowMs;
    await delay(Math.min(slowMs, Math.max(0, answersAt - deps.now().getTime())), undefined, { signal });
    return APPROVED;
  }

  async function countAttempt(orderId: string): Promise<number> {
    const { tries = 0 } = await edit(orderId, (known) => ({ ...known, tries: (known.tries ?? 0) + 1 }));
    return tries;
  }

  /** Captures the amount, unless it was captured before or the authorization is void. */
  async function recordCapture(orderId: string, amount: number): Promise<SimulatedLedger> {
    const capture: SimulatedLedger = { ...EMPTY, captures: [{ amount, at: at() }] };
    // Most orders have no ledger yet. Creating it needs no read, and of two captures only one can create it.
    return state.write({ op: 'put', key: keyOf(orderId), value: capture }).then(
      () => capture,
      (error: unknown) => {
        if (!(error instanceof ConflictError)) throw error;
        return edit(orderId, (known) => {
          // guard: capture an order once
          if (known.captures.length > 0 || known.voided_at) return known;
          return { ...known, captures: [...known.captures, ...capture.captures] };
        });
      },
    );
  }

  return {
    async authorize({ order_id, card_token }, signal) {
      switch (card_token) {
        case 'tok_visa':
        case 'tok_timeout':
        case 'tok_late':
        case 'tok_twice':
          return APPROVED;
        case 'tok_slow':
          return respondSlowly(order_id, signal);
        case 'tok_flaky':
          if ((await countAttempt(order_id)) < 3) throw new ProviderError('provider unreachable');
          return APPROVED;
        case 'tok_yes_after_no':
          return (await countAttempt(order_id)) === 1 ? declined('card declined') : APPROVED;
        case 'tok_chargeDeclined':
          return declined('card declined');
        case 'tok_chargeDeclinedInsufficientFunds':
          return declined('insufficient funds');
        default:
          return declined('unknown card token');
      }
    },

    async capture({ order_id, amount, card_token }, signal) {
      if (card_token === 'tok_late' && !(await state.get<SimulatedLedger>(keyOf(order_id)))) {
        if (!signal.aborted) await once(signal, 'abort');
        await recordCapture(order_id, amount);
        throw new ProviderError('provider timeout');
      }
      const requests = card_token === 'tok_twice' ? 2 : 1;
      const [ledger = EMPTY] = await Promise.all(
        Array.from({ length: requests }, () => recordCapture(order_id, amount)),
      );
      if (ledger.voided_at) return declined('authorization voided');
      if (card_token === 'tok_timeout' && !signal.aborted) await once(signal, 'abort');
      return APPROVED;
    },

    async refund(orderId) {
      const when = at();
      const ledger = await edit(orderId, (known) => {
        if (known.captures.length === 0) return known.voided_at ? known : { ...known, voided_at: when };
        const left = totalOf(known.captures) - totalOf(known.refunds);
        return left === 0 ? known : { ...known, refunds: [...known.refunds, { amount: left, at: when }] };
      });
      return totalOf(ledger.refunds);
    },

    async refundPart({ order_id, return_id, amount }) {
      const when = at();
      const ledger = await edit(order_id, (known) => {
        const left = totalOf(known.captures) - totalOf(known.refunds);
        const part = Math.min(amount, left);
        if (part === 0 || known.refunds.some((refund) => refund.return_id === return_id)) return known;
        return { ...known, refunds: [...known.refunds, { amount: part, at: when, return_id }] };
      });
      const refunded = ledger.refunds.filter((refund) => refund.return_id === return_id);
      return { amount: totalOf(refunded), total: totalOf(ledger.refunds) };
    },

    async ledger(orderId) {
      const stored = await state.get<SimulatedLedger>(keyOf(orderId));
      return stored && { captures: stored.value.captures, refunds: stored.value.refunds };
    },
  };
}
