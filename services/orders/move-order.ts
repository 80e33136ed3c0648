import { Counter, type Registry } from 'prom-client';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import { inSpan } from '../shared/tracing.ts';
import type { Order } from './contract.ts';
import type { Intake } from './intake.ts';
import { append, replay } from './order.ts';
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

export function orderMover(deps: {
  store: OrderStore;
  say: Say;
  intake: Pick<Intake, 'moved'>;
  metrics: Registry;
  now: () => Date;
}): MoveOrder {
  const { store, say, intake, now } = deps;
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
    if (decision.events.length === 0) {
      if (decision.sayAgain) await say(loaded.value, order.version);
      return { order, changed: false };
    }
    // A person can overtake what the order has not come to say: inventory and fulfilment must hear of the payment.
    if (message.type === 'ship by hand') await say(loaded.value, order.version);
    const document = await store.save(loaded, append(before, decision.events, now().toISOString()));
    for (const event of document.events.slice(before.length)) {
      intake.moved(event.type, Date.parse(order.created_at), Date.parse(event.time));
      await say(document, event.version);
      moved.inc({ type: event.type });
    }
    return { order: replay(orderId, document.events), changed: true };
  };

  return (orderId, message, demand) =>
    inSpan(`order: ${message.type}`, { 'order.id': orderId }, () =>
      retryOnConflict(() => attempt(orderId, message, demand)),
    );
}

/** The newest event of an order. */
export function lastEvent({ value }: Stored<OrderDocument>): OrderDocument['events'][number] {
  const last = value.events.at(-1);
  if (!last) throw new Error(`the stream of order ${value.order_id} is empty`);
  return last;
}
