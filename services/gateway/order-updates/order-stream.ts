import type { Request, RequestHandler, Response } from 'express';
import { once } from 'node:events';
import type { OrderChange } from '../../orders/contract.ts';
import type { Caller } from '../../shared/identity.ts';
import { Problem, unavailable } from '../../shared/problem.ts';
import type { Gate } from '../auth/gate.ts';

/** How often an open stream is written to, so that nothing on the way takes it for dead. Milliseconds. */
const HEARTBEAT = 15_000;
/** What a browser waits before it connects again. Milliseconds. */
const RETRY = 2_000;
/**
 * The next event waits until the client has read the last one, so that a slow client costs one event of memory. A client
 * that takes longer than this is cut off, and goes on where it was when it connects again. Bytes that are written in the
 * same tick say nothing of the client: they are corked.
 */
const READ_WITHIN_MS = 15_000;

/**
 * `GET /api/orders/:id/stream`: an order's changes as Server-Sent Events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). Each event has the order's version as its id, the
 * type of what happened (`order.paid`) as its name, and the order after it as its data. A stream ends with the order, or
 * with the token; 204 tells a browser not to come again.
 */
export function orderStream(deps: {
  gate: Pick<Gate, 'live' | 'enterStream'>;
  stopping: AbortSignal;
}): RequestHandler<{ id: string }> {
  const { gate, stopping } = deps;
  const streams = new Set<Response>();

  const heartbeat = setInterval(() => streams.forEach((res) => send(res, ':\n\n')), HEARTBEAT).unref();
  stopping.addEventListener('abort', () => {
    clearInterval(heartbeat);
    for (const res of streams) res.end();
  });

  return async (req, res) => {
    const caller = res.locals['caller'] as Caller;
    const after = lastEventId(req);
    if (stopping.aborted) throw unavailable();
    // Who has left while the request was looked at would never be heard leaving.
    if (res.closed) return;
    const { refused, leave } = gate.enterStream(caller, req.headers.authorization);
    const over = new AbortController();
    res.once('close', () => {
      streams.delete(res);
      leave();
      over.abort();
    });
    refused.addEventListener('abort', () => res.end(), { once: true });

    const changes = await unlessOver(gate.live.open(caller, req.params.id, after, over.signal));
    if (res.closed || res.writableEnded) return;
    if (stopping.aborted) throw unavailable();
    if (!changes) return void res.status(204).end();
    res.set({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      // Some proxies collect what they pass on.
      'x-accel-buffering': 'no',
    });
    if (req.method === 'HEAD') return void res.end();
    streams.add(res);
    send(res, `retry: ${RETRY}\n\n`);
    await unlessOver(tell(res, changes, over.signal));

    /** What fails because nobody waits for it has not failed. */
    async function unlessOver<T>(work: Promise<T>): Promise<T | undefined> {
      return work.catch((error: unknown) => {
        if (!over.signal.aborted) throw error;
        return undefined;
      });
    }
  };
}

async function tell(res: Response, changes: AsyncIterable<OrderChange>, gone: AbortSignal): Promise<void> {
  try {
    for await (const { type, order } of changes) {
      if (send(res, `id: ${order.version}\nevent: ${type}\ndata: ${JSON.stringify(order)}\n\n`)) continue;
      const signal = AbortSignal.any([gone, AbortSignal.timeout(READ_WITHIN_MS)]);
      await once(res, 'drain', { signal }).catch(() => res.destroy());
    }
  } finally {
    // Also where the order cannot be read any more: the client connects again.
    res.end();
  }
}

/** @returns whether the next event may follow at once */
const send = (res: Response, text: string): boolean => res.writableEnded || res.write(text);

/** @throws Problem 400 for an id that no event of ours has */
function lastEventId(req: Request): number {
  const given = req.get('last-event-id') ?? '';
  if (/^\d{0,9}$/.test(given)) return Number(given);
  throw new Problem(
    400,
    'invalid-last-event-id',
    'The Last-Event-ID is malformed. Send the id of an event from this stream.',
  );
}
