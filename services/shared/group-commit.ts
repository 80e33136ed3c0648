import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '@opentelemetry/api';
import { captureContext, runInContext } from './context.ts';
import { Overload } from './problem.ts';

interface Waiting<Item, Result> {
  item: Item;
  context: Context;
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
 * @param options.gatherMs how long each batch waits for more items
 * @throws Overload if `maxWaiting` items are waiting, and after an item has waited `maxWait` milliseconds; the item was not
 *   processed
 */
export function groupCommit<Item, Result>(
  commit: (items: Item[]) => Promise<Result[]>,
  { maxBatch = 64, maxWaiting = 2_000, maxWait = 3_000, gatherMs = (): number => 0 } = {},
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let running = false;
  let expiry: NodeJS.Timeout | undefined;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const gather = gatherMs();
      if (gather > 0) await delay(gather);
      const batch = waiting.splice(0, maxBatch);
      try {
        const results = await runInContext(batch[0]?.context ?? captureContext(), () =>
          commit(batch.map(({ item }) => item)),
        );
        batch.forEach(({ resolve }, position) => resolve(results[position] as Result));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  function refuseLate(): void {
    const now = performance.now();
    const inTime = waiting.findIndex(({ until }) => until > now);
    const late = waiting.splice(0, inTime < 0 ? waiting.length : inTime);
    for (const { reject } of late) reject(tooMany());
    const [next] = waiting;
    expiry = next && setTimeout(refuseLate, next.until - now).unref();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxWaiting) return reject(tooMany());
      waiting.push({ item, context: captureContext(), until: performance.now() + maxWait, resolve, reject });
      if (running) expiry ??= setTimeout(refuseLate, maxWait).unref();
      else {
        running = true;
        queueMicrotask(() => void drain());
      }
    });
}

const tooMany = () => new Overload('Too many requests are waiting. Try again later.');
