import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError } from '../shared/sidecar-call.ts';
import { retryOnConflict, type StateStore } from '../shared/state.ts';
import { ProviderError, type PaymentProvider, type Statement, type Verdict } from './provider.ts';

/** The provider's books for one order. Captures are a list so that a second one would show. */
interface Ledger extends Statement {
  /** When `tok_slow` was first asked about: later calls join that one. */
  started_at?: string;
  /** How often `tok_flaky` and `tok_yes_after_no` were asked about. */
  tries?: number;
  voided_at?: string;
}

const keyOf = (orderId: string) => `ledger:${orderId}`;
const EMPTY: Ledger = { captures: [], refunds: [] };
const APPROVED: Verdict = { approved: true };
const declined = (reason: string): Verdict => ({ approved: false, reason });
const total = (movements: Statement['captures']) => movements.reduce((sum, { amount }) => sum + amount, 0);

/**
 * A provider that answers by card token and keeps its ledger in this service's state, so that it forgets nothing over
 * a restart.
 *
 * | token | answer |
 * | --- | --- |
 * | `tok_visa` | approved |
 * | `tok_chargeDeclined`, `tok_chargeDeclinedInsufficientFunds` | declined |
 * | `tok_slow` | approved, `slowMs` after it was first asked |
 * | `tok_flaky` | unreachable twice, then approved |
 * | `tok_timeout` | captured, but the answer never arrives |
 * | `tok_late` | as `tok_timeout`, and captured only when nobody waits any more; the next call finds that |
 * | `tok_twice` | approved; whatever is asked reaches the provider twice at once |
 * | `tok_yes_after_no` | declined; approved where it is asked again |
 */
export function simulatedProvider(deps: {
  state: StateStore;
  now: () => Date;
  slowMs: number;
}): PaymentProvider {
  const { state, slowMs } = deps;
  const at = () => deps.now().toISOString();

  /** An edit that gives the same ledger back writes nothing. */
  async function edit(orderId: string, change: (ledger: Ledger) => Ledger): Promise<Ledger> {
    return retryOnConflict(async () => {
      const stored = await state.get<Ledger>(keyOf(orderId));
      const before = stored?.value ?? EMPTY;
      const after = change(before);
      if (after !== before)
        await state.write({ op: 'put', key: keyOf(orderId), value: after, etag: stored?.etag });
      return after;
    });
  }

  async function slowly(orderId: string, signal: AbortSignal): Promise<Verdict> {
    const started_at = at();
    // What began in the future by a clock that was set back since begins now.
    const hasBegun = (known: Ledger) => known.started_at !== undefined && known.started_at <= started_at;
    const ledger = await edit(orderId, (known) => (hasBegun(known) ? known : { ...known, started_at }));
    const answersAt = Date.parse(ledger.started_at ?? started_at) + slowMs;
    await delay(Math.min(slowMs, Math.max(0, answersAt - deps.now().getTime())), undefined, { signal });
    return APPROVED;
  }

  async function tryNumber(orderId: string): Promise<number> {
    const { tries = 0 } = await edit(orderId, (known) => ({ ...known, tries: (known.tries ?? 0) + 1 }));
    return tries;
  }

  /** Takes the amount, unless it was taken before or the authorization is void. */
  async function book(orderId: string, amount: number): Promise<Ledger> {
    const capture: Ledger = { ...EMPTY, captures: [{ amount, at: at() }] };
    // Most orders have no ledger yet: creating it needs no reading, and of two captures only one can create it.
    return state.write({ op: 'put', key: keyOf(orderId), value: capture }).then(
      () => capture,
      (error: unknown) => {
        if (!(error instanceof ConflictError)) throw error;
        return edit(orderId, (known) =>
          known.captures.length > 0 || known.voided_at ? known : { ...known, captures: capture.captures },
        );
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
          return slowly(order_id, signal);
        case 'tok_flaky':
          if ((await tryNumber(order_id)) < 3) throw new ProviderError('provider unreachable');
          return APPROVED;
        case 'tok_yes_after_no':
          return (await tryNumber(order_id)) === 1 ? declined('card declined') : APPROVED;
        case 'tok_chargeDeclined':
          return declined('card declined');
        case 'tok_chargeDeclinedInsufficientFunds':
          return declined('insufficient funds');
        default:
          return declined('unknown card token');
      }
    },

    async capture({ order_id, amount, card_token }, signal) {
      if (card_token === 'tok_late' && !(await state.get<Ledger>(keyOf(order_id)))) {
        if (!signal.aborted) await once(signal, 'abort');
        await book(order_id, amount);
        throw new ProviderError('provider timeout');
      }
      const requests = card_token === 'tok_twice' ? 2 : 1;
      const [ledger = EMPTY] = await Promise.all(
        Array.from({ length: requests }, () => book(order_id, amount)),
      );
      if (ledger.voided_at) return declined('authorization voided');
      if (card_token === 'tok_timeout' && !signal.aborted) await once(signal, 'abort');
      return APPROVED;
    },

    async refund(orderId) {
      const when = at();
      const ledger = await edit(orderId, (known) => {
        if (known.captures.length === 0) return known.voided_at ? known : { ...known, voided_at: when };
        const left = total(known.captures) - total(known.refunds);
        return left === 0 ? known : { ...known, refunds: [...known.refunds, { amount: left, at: when }] };
      });
      return total(ledger.refunds);
    },

    async statement(orderId) {
      const stored = await state.get<Ledger>(keyOf(orderId));
      return stored && { captures: stored.value.captures, refunds: stored.value.refunds };
    },
  };
}
