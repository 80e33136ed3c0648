import type { Context } from '@opentelemetry/api';
import { captureContext, runInContext } from './context.ts';
import { unavailable } from './problem.ts';

interface Waiting<Item, Result> {
  item: Item;
  context: Context;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Takes what comes in while a write is under way and commits it together in the next one. For documents that many
 * requests want at once this makes one write of what would be a row of conflicts.
 *
 * @param commit decides and writes a batch; gives a result for each item, in their order. What it throws is thrown to
 *   every waiter of the batch.
 * @throws Problem 503 at once when `maxWaiting` items wait already
 */
export function groupCommit<Item, Result>(
  commit: (items: Item[]) => Promise<Result[]>,
  { maxBatch = 64, maxWaiting = 10_000 } = {},
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let running = false;

  async function drain(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
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

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxWaiting) return reject(unavailable('Too many requests are waiting.'));
      waiting.push({ item, context: captureContext(), resolve, reject });
      if (!running) void drain();
    });
}
