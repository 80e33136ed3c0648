import type { OrderEventType } from './contract.ts';

/**
 * Keeps new orders from coming faster than they are worked on: none is accepted that would wait for longer than `maxLag`
 * until it is paid, rejected or failed.
 *
 * An order waits for stock, then for its payment. All that was accepted after the newest that has left a queue is still
 * before it, and takes as long as the queue takes for so many. A replica sees its share of what is accepted and of what
 * leaves; what counts is their ratio. All times are milliseconds of this process's monotonic clock.
 */
export interface Intake {
  /** An order is accepted, and will be written. */
  accepted: (at: number) => void;
  /** One that was accepted then is not written after all. */
  withdrawn: (at: number) => void;
  /** An event was appended to an order of this age. The age is by two clocks: one that cannot be right is no evidence. */
  moved: (event: OrderEventType, ageMs: number, at: number) => void;
  /** Seconds after which there is room again, where a new order would wait for too long now; else undefined. */
  refusal: (at: number) => number | undefined;
}

/** The events by which an order leaves a queue. One that is cancelled or expires says nothing of it. */
const LEAVES: Partial<Record<OrderEventType, 'stock' | 'payment'>> = {
  'payment.requested': 'stock',
  'order.rejected': 'stock',
  'order.paid': 'payment',
  'order.payment_failed': 'payment',
};

/** An order that has left a queue. */
interface Left {
  /** Not known where a clock was wrong. */
  created: number | undefined;
  at: number;
}

const isDated = (one: Left): one is Left & { created: number } => one.created !== undefined;

/** What is older is no evidence, and without evidence nothing is refused. Milliseconds. */
const RECENT = 10_000;
/** No order waits for so long: a clock was set. */
const LONGEST_AGE_MS = 10 * 60_000;
/** A slow provider does not make so many late that come one after the other; a backlog does. */
const ENOUGH = 10;
/** The share of `maxLag` that even the quickest of them must have taken: without a backlog, few leave because few come. */
const BACKLOG_FROM = 1 / 5;
/** As many as a service works on at once. They need not wait for each other. */
const AT_ONCE = 64;
const MAX_LEFT = 1_000;
const MAX_ACCEPTED = 10_000;
/** How much longer the wait will be is not known; beyond this it is better to ask. Seconds. */
const LONGEST_REFUSAL = 10;

/** @param startedAt what was accepted before is not known */
export function intake(maxLag: number, startedAt: number): Intake {
  const queues: Record<'stock' | 'payment', Left[]> = { stock: [], payment: [] };
  const accepted: number[] = [];
  let knownFrom = startedAt;

  /** How long an order that is accepted now waits until it leaves the queue. Milliseconds. */
  function waitFor(left: Left[], at: number): number {
    const recent = left.findIndex((one) => one.at > at - RECENT);
    left.splice(0, recent < 0 ? left.length : recent);
    const newest = left.filter(isDated).slice(-ENOUGH);
    const [oldest] = left;
    const lag = Math.min(...newest.map((one) => one.at - one.created));
    if (!oldest || newest.length < ENOUGH || lag <= maxLag * BACKLOG_FROM) return 0;
    const last = Math.max(...newest.map(({ created }) => created));
    // Others wait beside those that are counted.
    if (last < knownFrom) return lag;
    const waiting = accepted.length - 1 - accepted.findLastIndex((time) => time <= last);
    if (waiting <= AT_ONCE) return 0;
    return (waiting * Math.max(1_000, at - oldest.at)) / left.length;
  }

  return {
    accepted(at) {
      accepted.push(at);
      if (accepted.length > MAX_ACCEPTED) knownFrom = accepted.shift() ?? knownFrom;
    },
    withdrawn(at) {
      const position = accepted.lastIndexOf(at);
      if (position >= 0) accepted.splice(position, 1);
    },
    moved(event, ageMs, at) {
      const queue = LEAVES[event];
      if (!queue) return;
      const created = ageMs >= 0 && ageMs <= LONGEST_AGE_MS ? at - ageMs : undefined;
      queues[queue].push({ created, at });
      if (queues[queue].length > MAX_LEFT) queues[queue].shift();
    },
    refusal(at) {
      const wait = Math.max(waitFor(queues.stock, at), waitFor(queues.payment, at));
      if (wait <= maxLag) return undefined;
      return Math.min(Math.ceil((wait - maxLag) / 1_000), LONGEST_REFUSAL);
    },
  };
}
