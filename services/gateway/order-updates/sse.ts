import type { Request, RequestHandler, Response } from 'express';
import { once } from 'node:events';
import type { OrderChange } from '../../orders/contract.ts';
import type { Caller } from '../../shared/http/caller.ts';
import { ProblemError, unavailable } from '../../shared/http/problem.ts';
import type { AccessControl } from '../auth/access-control.ts';
import type { OrderUpdates } from './feed.ts';

/** The interval of heartbeats, which keep proxies from closing an idle stream. */
const HEARTBEAT_INTERVAL_MS = 15_000;
/** The pause of a browser before it reconnects. */
const RECONNECT_DELAY_MS = 2_000;
/**
 * How long a client may take to read an event. The next event waits for it, so that a slow client needs the memory of one event.
 * After the timeout, the stream ends, and the client can reconnect and resume.
 */
const READ_TIMEOUT_MS = 15_000;

/**
 * Handles `GET /api/orders/:id/stream`: an order's changes as Server-Sent Events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). The id of an event is the order's version, its name is the
 * event type (`order.paid`), and its data is the order after the event. A stream ends when the order is final or the token
 * becomes invalid. A 204 keeps browsers from reconnecting.
 */
export function createOrderStream(deps: {
  accessControl: Pick<AccessControl, 'openStream'>;
  updates: OrderUpdates;
  stopping: AbortSignal;
}): RequestHandler<{ id: string }> {
  const { accessControl, updates, stopping } = deps;
  const streams = new Set<Response>();

  const heartbeat = setInterval(
    () => streams.forEach((res) => send(res, ':\n\n')),
    HEARTBEAT_INTERVAL_MS,
  ).unref();
  stopping.addEventListener('abort', () => {
    clearInterval(heartbeat);
    for (const res of streams) res.end();
  });

  return async (req, res) => {
    const caller = res.locals['caller'] as Caller;
    const after = lastEventId(req);
    if (stopping.aborted) throw unavailable();
    // `close` is not emitted again for a client that has already left.
    if (res.closed) return;
    const { revoked, close } = accessControl.openStream(caller, req.headers.authorization);
    const closed = new AbortController();
    res.once('close', () => {
      streams.delete(res);
      close();
      closed.abort();
    });
    revoked.addEventListener('abort', () => res.end(), { once: true });

    const changes = await ignoreAfterClose(updates.open(caller, req.params.id, after, closed.signal));
    if (res.closed || res.writableEnded) return;
    if (stopping.aborted) throw unavailable();
    if (!changes) return void res.status(204).end();
    res.set({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      // Disables the buffering of some proxies.
      'x-accel-buffering': 'no',
    });
    if (req.method === 'HEAD') return void res.end();
    streams.add(res);
    send(res, `retry: ${RECONNECT_DELAY_MS}\n\n`);
    await ignoreAfterClose(writeEvents(res, changes, closed.signal));

    /** Ignores errors after the client has left. */
    async function ignoreAfterClose<T>(work: Promise<T>): Promise<T | undefined> {
      return work.catch((error: unknown) => {
        if (!closed.signal.aborted) throw error;
        return undefined;
      });
    }
  };
}

async function writeEvents(
  res: Response,
  changes: AsyncIterable<OrderChange>,
  gone: AbortSignal,
): Promise<void> {
  try {
    for await (const { type, order } of changes) {
      if (send(res, `id: ${order.version}\nevent: ${type}\ndata: ${JSON.stringify(order)}\n\n`)) continue;
      const signal = AbortSignal.any([gone, AbortSignal.timeout(READ_TIMEOUT_MS)]);
      await once(res, 'drain', { signal }).catch(() => res.destroy());
    }
  } finally {
    // After an error too: the client reconnects.
    res.end();
  }
}

/** @returns whether the next event may follow at once */
const send = (res: Response, text: string): boolean => res.writableEnded || res.write(text);

/** @throws ProblemError 400 for a malformed id */
function lastEventId(req: Request): number {
  const given = req.get('last-event-id') ?? '';
  if (/^\d{0,9}$/.test(given)) return Number(given);
  throw new ProblemError(
    400,
    'invalid-last-event-id',
    'The Last-Event-ID is malformed. Send the id of an event from this stream.',
  );
}
