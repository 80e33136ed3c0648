import { TRANSITIONS, type OrderEventType } from './state-machine.ts';

/**
 * Sheds new orders while they would wait for longer than `maxQueueWaitMs` until they are paid, rejected or failed.
 *
 * An order waits for stock, then for its payment. Every order that was accepted after the newest one that has left a queue
 * is still in it. The wait follows from their number and from the rate at which orders leave. A replica sees its share of
 * both; only their ratio counts. All times are milliseconds of this process's monotonic clock.
 */
export interface AdmissionControl {
  /** An order is accepted and will be written. */
  onAccepted: (at: number) => void;
  /** An order that was accepted at this time is not written after all. */
  onAborted: (at: number) => void;
  /** An event was appended to an order of this age. Two clocks tell the age: an impossible one is no evidence. */
  onTransition: (event: OrderEventType, ageMs: number, at: number) => void;
  /** Seconds until a new order is accepted again; undefined if it is accepted now. */
  retryAfterSeconds: (at: number) => number | undefined;
  /** The orders of the last minute that wait to be paid or refused, as far as this replica knows. */
  queued: (at: number) => number;
}

type Queue = 'stock' | 'payment';

/** An order enters a queue by this event. */
const QUEUE_BEHIND: Partial<Record<OrderEventType, Queue>> = {
  'order.created': 'stock',
  'payment.requested': 'payment',
};

/** The events by which an order leaves a queue: the answers to the event by which it entered. */
const EXIT_EVENTS = new Map(
  Object.values(TRANSITIONS).flatMap(({ acknowledges, appends }): [OrderEventType, Queue][] => {
    const queue = acknowledges && QUEUE_BEHIND[acknowledges];
    return queue ? [[appends, queue]] : [];
  }),
);

/** An order that has left a queue. */
interface QueueExit {
  /** Undefined if a clock was wrong. */
  created: number | undefined;
  at: number;
}

const isDated = (exit: QueueExit): exit is QueueExit & { created: number } => exit.created !== undefined;

/** Older exits are no evidence. Without evidence no order is shed. */
const EVIDENCE_WINDOW_MS = 10_000;
/** No order waits for so long. A clock was set. */
const MAX_AGE_MS = 10 * 60_000;
/** A backlog delays this many orders in a row. A slow provider does not. */
const MIN_SAMPLES = 10;
/** The rate is measured for this time at least, because orders leave in batches. */
const MIN_RATE_WINDOW_MS = 1_000;
/** Even the quickest of them takes this share of `maxQueueWaitMs` if there is a backlog. */
const MIN_LAG_RATIO = 1 / 5;
/** A service works on this many orders at once. They do not wait for each other. */
const MAX_CONCURRENCY = 64;
const MAX_EXITS = 1_000;
const MAX_ACCEPTED = 10_000;
/** Another replica may have received the end of an older order. */
const QUEUED_WINDOW_MS = 60_000;
/** The wait beyond this time is not known. The client tries again. */
const MAX_RETRY_AFTER_SECONDS = 10;

/** @param startedAt orders that were accepted before this time are not known */
export function createAdmissionControl(maxQueueWaitMs: () => number, startedAt: number): AdmissionControl {
  const queues: Record<Queue, QueueExit[]> = { stock: [], payment: [] };
  /** When the newest order that has left the queue was created. Messages of a killed replica arrive after newer ones. */
  const newestLeft: Record<Queue, number> = { stock: -Infinity, payment: -Infinity };
  const accepted: number[] = [];
  let knownFrom = startedAt;
  /** When the newest order that was paid or refused was created. */
  let newestDecided = -Infinity;

  /** How long an order that is accepted now waits until it leaves the queue. */
  function waitMs(queue: Queue, at: number): number {
    const exits = queues[queue];
    const recent = exits.findIndex((exit) => exit.at > at - EVIDENCE_WINDOW_MS);
    exits.splice(0, recent < 0 ? exits.length : recent);
    const minLagMs = maxQueueWaitMs() * MIN_LAG_RATIO;
    // The backlog begins after the last quick exit. Before that, few orders left because few came.
    const backlog = exits.slice(
      exits.findLastIndex((exit) => isDated(exit) && exit.at - exit.created <= minLagMs) + 1,
    );
    const newest = backlog.filter(isDated).slice(-MIN_SAMPLES);
    const [oldest] = backlog;
    if (!oldest || newest.length < MIN_SAMPLES || at - oldest.at < MIN_RATE_WINDOW_MS) return 0;
    const lastCreated = newestLeft[queue];
    // Orders from before the start wait, too, and are not counted.
    if (lastCreated < knownFrom) return Math.min(...newest.map((exit) => exit.at - exit.created));
    const waiting = accepted.length - 1 - accepted.findLastIndex((time) => time <= lastCreated);
    if (waiting <= MAX_CONCURRENCY) return 0;
    return (waiting * (at - oldest.at)) / backlog.length;
  }

  return {
    onAccepted(at) {
      accepted.push(at);
      if (accepted.length > MAX_ACCEPTED) knownFrom = accepted.shift() ?? knownFrom;
    },
    onAborted(at) {
      const position = accepted.lastIndexOf(at);
      if (position >= 0) accepted.splice(position, 1);
    },
    onTransition(event, ageMs, at) {
      const queue = EXIT_EVENTS.get(event);
      if (!queue) return;
      const created = ageMs >= 0 && ageMs <= MAX_AGE_MS ? at - ageMs : undefined;
      queues[queue].push({ created, at });
      newestLeft[queue] = Math.max(newestLeft[queue], created ?? -Infinity);
      // Other exits lead to another queue.
      if (!QUEUE_BEHIND[event]) newestDecided = Math.max(newestDecided, created ?? -Infinity);
      if (queues[queue].length > MAX_EXITS) queues[queue].shift();
    },
    retryAfterSeconds(at) {
      const wait = Math.max(waitMs('stock', at), waitMs('payment', at));
      const excess = wait - maxQueueWaitMs();
      if (excess <= 0) return undefined;
      return Math.min(Math.ceil(excess / 1_000), MAX_RETRY_AFTER_SECONDS);
    },
    queued(at) {
      const since = Math.max(newestDecided, at - QUEUED_WINDOW_MS);
      return accepted.length - 1 - accepted.findLastIndex((time) => time <= since);
    },
  };
}
