import type { z } from 'zod';
import { orderChangesSchema, type OrderChange } from '../../orders/contract.ts';
import { callerHeaders, type Caller } from '../../shared/http/caller.ts';
import { notFound, ProblemError } from '../../shared/http/problem.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { id } from '../../shared/schemas/types.ts';
import { parseResponse, parsePath } from '../../shared/http/validation.ts';
import { invokeWithRetry } from '../invoke-with-retry.ts';

/**
 * Iterates over the changes of an order after version `after`: first past changes, then new ones, until the order is final or
 * `signal` aborts.
 *
 * @throws ProblemError 404 if the caller has no such order; 400 if the order has not reached version `after`; 503
 */
export type WatchOrder = (
  caller: Caller,
  orderId: string,
  after: number,
  signal: AbortSignal,
) => AsyncIterable<OrderChange>;

export interface OrderUpdates {
  watch: WatchOrder;
  /** Like `watch`, but resolves after the first load. It resolves to undefined if no changes follow. */
  open: (...watched: Parameters<WatchOrder>) => Promise<AsyncIterable<OrderChange> | undefined>;
  /** Notifies the watchers that an order has reached a version. */
  notify: (orderId: string, version: number) => void;
}

/** The interval at which a watcher loads the order without a notification, because broadcasts may be lost. */
const POLL_INTERVAL_MS = 120_000;

/** Receives each new version of an order. */
type Listener = (version: number) => void;

export function createOrderUpdates(sidecar: Pick<Sidecar, 'invoke'>): OrderUpdates {
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
    const response = await invokeWithRetry(sidecar, 'orders', {
      method: 'GET',
      path: `/orders/${orderId}/changes?after=${after}`,
      headers: callerHeaders(caller),
      signal,
    });
    if (response.status === 404) throw notFound('order');
    if (response.status === 400)
      throw new ProblemError(
        400,
        'invalid-last-event-id',
        `The order has no version ${after} yet. Start after a version that you received, or from the beginning.`,
      );
    return parseResponse(orderChangesSchema, response);
  }

  const open: OrderUpdates['open'] = async (caller, given, after, signal) => {
    const orderId = parsePath(id, given, 'order');
    let seen = after;
    let latestVersion = after;
    let wake = () => {};
    // Before the first load, so that no change is missed.
    const stop = listen(orderId, (version) => {
      if (version <= seen) return;
      latestVersion = Math.max(latestVersion, version);
      wake();
    });
    const aborted = () => {
      // If nobody iterates, `finally` never runs.
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
          if (latestVersion <= seen && !signal.aborted)
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, POLL_INTERVAL_MS).unref();
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
            });
          if (signal.aborted) return;
          const announced = latestVersion;
          found = await changesAfter(caller, orderId, seen, signal);
          // A version that was announced but not found is not loaded again before the next notification.
          if (found.items.length === 0 && latestVersion === announced) latestVersion = seen;
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
    notify(orderId, version) {
      for (const listener of listeners.get(orderId) ?? []) listener(version);
    },
  };
}
