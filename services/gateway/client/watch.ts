import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { FINAL_STATUSES, type Order, type OrderChange, type OrderEventType } from '../../orders/contract.ts';
import type { ApiResponse } from './types.ts';

/** The maximum of consecutive failed connections without a message in between. */
const MAX_CONSECUTIVE_FAILURES = 10;
/** The default and the maximum of the pause before a reconnect, which the server may set. */
const RETRY_DELAY_MS = 2_000;
const MAX_RETRY_DELAY_MS = 30_000;
/** The maximum length of an incomplete event, in characters. */
const MAX_EVENT_CHARACTERS = 1_000_000;

export interface WatchOptions {
  /** The version of the order after which the changes start. */
  after?: number | undefined;
  /** Ends the iteration without an error. */
  signal?: AbortSignal | undefined;
}

/** Opens the stream after the event with this id. A success without a body means that no events follow. */
type Open = (
  lastEventId: string,
  signal: AbortSignal | undefined,
) => Promise<ApiResponse<Readable | undefined>>;

/**
 * Iterates over the changes of an order until it is final, each change once. After a lost connection, it reconnects and resumes.
 *
 * @throws Error if the server refuses, or after too many consecutive failures
 */
export async function* watchOrder(
  open: Open,
  { after = 0, signal }: WatchOptions = {},
): AsyncGenerator<OrderChange, void> {
  let seen = after;
  let retry = RETRY_DELAY_MS;
  let lost = 0;
  let hasEnded = false;
  let cause: unknown;
  const alive = () => void (lost = 0);
  const stream = {
    onComment: alive,
    onRetry: (ms: number) => void (retry = Math.min(ms, MAX_RETRY_DELAY_MS)),
  };

  for (let connections = 0; lost < MAX_CONSECUTIVE_FAILURES; connections++) {
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

/** Iterates over the events of one connection. @throws Error if the connection breaks */
async function* changesOf(
  stream: Readable,
  more: { onComment: () => void; onRetry: (ms: number) => void },
): AsyncGenerator<OrderChange, void> {
  const arrived: EventSourceMessage[] = [];
  const parser = createParser({
    ...more,
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onEvent: (message) => void arrived.push(message),
  });
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    parser.feed(decoder.decode(chunk as Buffer, { stream: true }));
    for (const { event, data } of arrived.splice(0))
      yield { type: event as OrderEventType, order: JSON.parse(data) as Order };
  }
}
