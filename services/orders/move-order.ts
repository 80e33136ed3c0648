import { Counter, type Registry } from 'prom-client';
import type { Logger } from '../shared/log.ts';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import { inSpan } from '../shared/tracing.ts';
import type { Order, OrderStatus } from './contract.ts';
import type { FinishedOrders } from './finished-orders.ts';
import type { Intake } from './intake.ts';
import { append, isFinal, isUnpaid, replay } from './order.ts';
import type { OrderJob } from './order-job.ts';
import type { OrderDocument, OrderStore } from './order-store.ts';
import { decide, type Message } from './saga.ts';
import type { Say } from './say.ts';

export interface Moved {
  order: Order;
  /** Whether the message changed the order. */
  changed: boolean;
}

/** Applies messages to orders: load, decide, write, say. */
export interface MoveOrder {
  /**
   * @param demand looks at the order that the message would change; what it throws, the caller gets, and nothing changes
   * @returns undefined where there is no such order
   */
  (orderId: string, message: Message, demand?: (order: Order) => void): Promise<Moved | undefined>;
}

/**
 * Nothing has to be given back after these, and the message that led to them comes again until they are said: the order's
 * job need not look once more. After the others it does, even if a broker forgets.
 */
const ALL_IS_DONE = new Set<OrderStatus>(['DELIVERED', 'REJECTED']);

/** What no broker delivers again. */
const COMES_ONCE = new Set<Message['type']>(['cancel', 'ship by hand', 'deliver by hand', 'deadline passed']);

export function orderMover(deps: {
  store: OrderStore;
  finished: Pick<FinishedOrders, 'add'>;
  say: Say;
  job: OrderJob;
  intake: Pick<Intake, 'moved'>;
  log: Logger;
  recheckMs: number;
  metrics: Registry;
  now: () => Date;
}): MoveOrder {
  const { store, finished, say, job, intake, log, recheckMs, now } = deps;
  const moved = new Counter({
    name: 'orders_moved_total',
    help: 'Events appended to orders, by type',
    labelNames: ['type'],
    registers: [deps.metrics],
  });

  const attempt: MoveOrder = async (orderId, message, demand) => {
    const loaded = await store.load(orderId);
    if (!loaded) return undefined;
    const before = loaded.value.events;
    const order = replay(orderId, before);
    demand?.(order);
    const decision = decide(order, lastEvent(loaded).type, message);
    const [next, ...later] = decision.events;
    if (!next) {
      if (decision.sayAgain) await say(loaded.value, order.version);
      return { order, changed: false };
    }
    if (decision.sayFirst) await say(loaded.value, order.version);
    const at = now().toISOString();
    const events = append(before, [next], at);
    const becomes = replay(orderId, events);
    const watched = await watch(loaded.value, becomes, message);
    // The job of an order that is final has ended: it comes back to publish this once more.
    if (isFinal(order)) await job.set(orderId, recheckMs);
    const value = isUnpaid(becomes) ? watched : withoutCard(watched);
    const document = await store.save({ ...loaded, value }, events);
    intake.moved(next.type, Date.parse(at) - Date.parse(order.created_at), performance.now());
    await say(document, becomes.version);
    moved.inc({ type: next.type });
    if (later.length > 0) return attempt(orderId, message, demand);
    if (ALL_IS_DONE.has(becomes.status) && !document.unwatched && !isFinal(order)) void finish(orderId);
    return { order: becomes, changed: true };
  };

  /** What the order's job would do in the end. Nobody waits for it: where it fails, or is forgotten in a crash, the job does it. */
  async function finish(orderId: string): Promise<void> {
    try {
      await finished.add(orderId);
      await job.remove(orderId);
    } catch (err) {
      log.debug({ err }, 'an order that is done is left to its job');
    }
  }

  /**
   * An order that has no job yet gets it now. By a message that the broker delivers until it is done, it can go on without,
   * and even end: what the job would do with it then is done here.
   */
  async function watch(document: OrderDocument, willBe: Order, message: Message): Promise<OrderDocument> {
    const { unwatched, ...watched } = document;
    if (!unwatched) return document;
    try {
      await job.set(document.order_id, recheckMs);
      return watched;
    } catch (error) {
      if (!isFinal(willBe)) return document;
      if (COMES_ONCE.has(message.type)) throw error;
      await finished.add(document.order_id);
      return document;
    }
  }

  return (orderId, message, demand) =>
    inSpan(`order: ${message.type}`, { 'order.id': orderId }, () =>
      retryOnConflict(() => attempt(orderId, message, demand)),
    );
}

function withoutCard(document: OrderDocument): OrderDocument {
  const { payment: _, ...rest } = document;
  return rest;
}

/** The newest event of an order. */
export function lastEvent({ value }: Stored<OrderDocument>): OrderDocument['events'][number] {
  const last = value.events.at(-1);
  if (!last) throw new Error(`the stream of order ${value.order_id} is empty`);
  return last;
}
