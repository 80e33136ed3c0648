import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** Too many items are waiting, or an item has waited for too long. The item was not processed. */
export class QueueFullError extends Error {}

interface Waiting<Item, Result> {
  item: Item;
  /** Runs a function in the context of the caller, so that the batch belongs to the trace of its first caller. */
  asCaller: <T>(fn: () => T) => T;
  /** By `performance.now()`. */
  until: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Batches items: while one batch is in progress, new items queue up and form the next batch. So do items of one tick
 * (services/decisions/0129-batched-calls.md).
 *
 * @param commit processes a batch and returns one result per item, in their order. If it throws, every item of the batch
 *   fails with that error.
 * @param options.lingerMs how long each batch waits for more items, unless a full one is waiting
 * @throws QueueFullError if `maxWaiting` items are waiting, and after an item has waited for `maxWaitMs`; the item was not
 *   processed
 */
export function createBatcher<Item, Result>(
  commit: (items: Item[]) => Promise<Result[]>,
  { maxBatch = 64, maxWaiting = 2_000, maxWaitMs = 3_000, lingerMs = (): number => 0 } = {},
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let running = false;
  let expiry: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const gather = waiting.length < maxBatch ? lingerMs() : 0;
      if (gather > 0) await delay(gather);
      const batch = waiting.splice(0, maxBatch);
      try {
        const commitAll = () => commit(batch.map(({ item }) => item));
        const results = await (batch[0] ? batch[0].asCaller(commitAll) : []);
        batch.forEach(({ resolve }, position) => resolve(results[position] as Result));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  function rejectExpired(): void {
    const now = performance.now();
    const inTime = waiting.findIndex(({ until }) => until > now);
    const late = waiting.splice(0, inTime < 0 ? waiting.length : inTime);
    for (const { reject } of late) reject(new QueueFullError());
    const [next] = waiting;
    expiry = next && setTimeout(rejectExpired, next.until - now).unref();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxWaiting) return reject(new QueueFullError());
      waiting.push({
        item,
        asCaller: AsyncLocalStorage.snapshot(),
        until: performance.now() + maxWaitMs,
        resolve,
        reject,
      });
      if (running) expiry ??= setTimeout(rejectExpired, maxWaitMs).unref();
      else {
        running = true;
        queueMicrotask(() => void flush());
      }
    });
}
