import type { z } from 'zod';
import { orderChangesSchema, type OrderChange } from '../../orders/contract.ts';
import { headersOf, type Caller } from '../../shared/identity.ts';
import { notFound, Problem } from '../../shared/problem.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { id } from '../../shared/types.ts';
import { parseAnswer, parsePath } from '../../shared/validate.ts';

/**
 * The changes of an order after version `after`: those that were, then those to come, until it has ended or `signal` is
 * aborted.
 *
 * @throws Problem 404 where there is no such order of this caller; 400 where it has not come to version `after`; 503
 */
export type WatchOrder = (
  caller: Caller,
  orderId: string,
  after: number,
  signal: AbortSignal,
) => AsyncIterable<OrderChange>;

export interface LiveOrders {
  watch: WatchOrder;
  /** Like `watch`, but resolves when that is known; to undefined where nothing is left to tell. */
  open: (...watched: Parameters<WatchOrder>) => Promise<AsyncIterable<OrderChange> | undefined>;
  /** Tells that an order has come to a version. */
  changed: (orderId: string, version: number) => void;
}

/** News may get lost; nobody waits for longer than this for what has happened. Milliseconds. */
const LOOK_AGAIN = 120_000;

/** Of the order's own events; whoever watches learns of each of them. */
type Listener = (version: number) => void;

export function liveOrders(sidecar: Pick<Sidecar, 'invoke'>): LiveOrders {
  const listeners = new Map<string, Set<Listener>>();

  function listen(orderId: string, listener: Listener): () => void {
    const here = listeners.get(orderId) ?? new Set();
    listeners.set(orderId, here.add(listener));
    return () => {
      here.delete(listener);
      if (here.size === 0) listeners.delete(orderId);
    };
  }

  async function changesAfter(
    caller: Caller,
    orderId: string,
    after: number,
    signal: AbortSignal,
  ): Promise<z.infer<typeof orderChangesSchema>> {
    const response = await sidecar.invoke('orders', {
      method: 'GET',
      path: `/orders/${orderId}/changes?after=${after}`,
      headers: headersOf(caller),
      signal,
    });
    if (response.status === 404) throw notFound('order');
    if (response.status === 400)
      throw new Problem(
        400,
        'invalid-last-event-id',
        `The order has no version ${after} yet. Start after a version that you received, or from the beginning.`,
      );
    return parseAnswer(orderChangesSchema, response);
  }

  const open: LiveOrders['open'] = async (caller, given, after, signal) => {
    const orderId = parsePath(id, given, 'order');
    let seen = after;
    let heard = after;
    let wake = () => {};
    // Before the first look, so that no change falls between the two.
    const stop = listen(orderId, (version) => {
      if (version <= seen) return;
      heard = Math.max(heard, version);
      wake();
    });
    const aborted = () => {
      // What is made here may never be read, and then not end by itself.
      stop();
      wake();
    };
    signal.addEventListener('abort', aborted);
    const end = () => {
      stop();
      signal.removeEventListener('abort', aborted);
    };
    const first = await changesAfter(caller, orderId, after, signal).catch((error: unknown) => {
      end();
      throw error;
    });

    if (first.ended && first.items.length === 0) {
      end();
      return undefined;
    }
    return changes(first);

    async function* changes(found: typeof first) {
      try {
        for (;;) {
          for (const change of found.items) {
            yield change;
            seen = change.order.version;
          }
          if (found.ended) return;
          if (heard <= seen && !signal.aborted)
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, LOOK_AGAIN).unref();
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
            });
          if (signal.aborted) return;
          const told = heard;
          found = await changesAfter(caller, orderId, seen, signal);
          // What was told and is not there will not be asked for again, unless it is told again.
          if (found.items.length === 0 && heard === told) heard = seen;
        }
      } finally {
        end();
      }
    }
  };

  return {
    open,
    watch: async function* (...watched) {
      const changes = await open(...watched);
      if (changes) yield* changes;
    },
    changed(orderId, version) {
      for (const listener of listeners.get(orderId) ?? []) listener(version);
    },
  };
}
