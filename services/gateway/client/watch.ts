import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { FINAL_STATUSES, type Order, type OrderChange, type OrderEventType } from '../../orders/contract.ts';
import type { Answer } from './types.ts';

/** Times in a row that a stream may be lost, or not be had, without a sign of life in between. */
const MAX_LOST = 10;
/** Until the server says how long to wait before coming again; and the longest that it can say. Milliseconds. */
const RETRY = 2_000;
const MAX_RETRY = 30_000;
/** Characters of an event that is not complete. */
const MAX_EVENT = 1_000_000;

export interface WatchOptions {
  /** The version of the order that is known; only what came after it is told. */
  after?: number | undefined;
  /** Aborted: the watching ends, without an error. */
  signal?: AbortSignal | undefined;
}

/** Opens the stream after the event with this id; a success without a body: there are no more. */
type Open = (lastEventId: string, signal: AbortSignal | undefined) => Promise<Answer<Readable | undefined>>;

/**
 * The changes of an order, each once, until it has ended. A lost connection is made anew, and goes on where it was.
 *
 * @throws Error where the server refuses, or the stream is lost too often in a row
 */
export async function* watchOrder(
  open: Open,
  { after = 0, signal }: WatchOptions = {},
): AsyncGenerator<OrderChange, void> {
  let seen = after;
  let retry = RETRY;
  let lost = 0;
  let hasEnded = false;
  let cause: unknown;
  const alive = () => void (lost = 0);
  const stream = { onComment: alive, onRetry: (ms: number) => void (retry = Math.min(ms, MAX_RETRY)) };

  for (let connections = 0; lost < MAX_LOST; connections++) {
    if (connections > 0) await delay(retry, undefined, { signal }).catch(() => {});
    lost += 1;
    cause = 'the server closed the stream';
    const answer = await open(String(seen), signal).catch((error: unknown) => void (cause = error));
    if (answer?.ok) {
      if (!answer.body) return;
      try {
        for await (const change of changesOf(answer.body, stream)) {
          if (change.order.version <= seen) continue;
          alive();
          seen = change.order.version;
          yield change;
          // A refund may still follow in this stream.
          hasEnded = FINAL_STATUSES.has(change.order.status);
        }
      } catch (error) {
        cause = error;
      }
    }
    if (signal?.aborted || hasEnded) return;
    if (answer && !answer.ok) {
      cause = `${answer.status} ${answer.body.detail}`;
      if (answer.status < 500 && answer.status !== 429) break;
    }
  }
  throw new Error(`Watching the order failed: ${String(cause)}`, { cause });
}

/** The events of one connection. @throws Error where it breaks */
async function* changesOf(
  stream: Readable,
  more: { onComment: () => void; onRetry: (ms: number) => void },
): AsyncGenerator<OrderChange, void> {
  const arrived: EventSourceMessage[] = [];
  const parser = createParser({
    ...more,
    maxBufferSize: MAX_EVENT,
    onEvent: (message) => void arrived.push(message),
  });
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    parser.feed(decoder.decode(chunk as Buffer, { stream: true }));
    for (const { event, data } of arrived.splice(0))
      yield { type: event as OrderEventType, order: JSON.parse(data) as Order };
  }
}
