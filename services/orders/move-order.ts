import { Counter, type Registry } from 'prom-client';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { inSpan } from '../shared/tracing.ts';
import type { Order } from './contract.ts';
import { append, replay } from './order.ts';
import type { OrderDocument, OrderStore } from './order-store.ts';
import { decide, type Message } from './saga.ts';
import { messageOf } from './say.ts';

export interface Moved {
  order: Order;
  /** Whether the message changed the order. */
  changed: boolean;
}

/** Applies messages to orders: load, decide, write, say. */
export interface MoveOrder {
  /** @returns undefined where there is no such order */
  (orderId: string, message: Message): Promise<Moved | undefined>;
}

export function orderMover(deps: {
  store: OrderStore;
  sidecar: Sidecar;
  metrics: Registry;
  now: () => Date;
}): MoveOrder {
  const { store, sidecar, now } = deps;
  const moved = new Counter({
    name: 'orders_moved_total',
    help: 'Events appended to orders, by type',
    labelNames: ['type'],
    registers: [deps.metrics],
  });

  async function attempt(orderId: string, message: Message): Promise<Moved | undefined> {
    const loaded = await store.load(orderId);
    if (!loaded) return undefined;
    const before = loaded.value.events;
    const order = replay(orderId, before);
    const decision = decide(order, lastEvent(loaded).type, message);
    if (decision.events.length === 0) {
      if (decision.sayAgain) await sidecar.publish(messageOf(loaded.value, order.version));
      return { order, changed: false };
    }
    // A person can overtake what the order has not come to say: inventory and fulfilment must hear of the payment.
    if (message.type === 'ship by hand') await sidecar.publish(messageOf(loaded.value, order.version));
    const document = await store.save(loaded, append(before, decision.events, now().toISOString()));
    for (const event of document.events.slice(before.length)) {
      await sidecar.publish(messageOf(document, event.version));
      moved.inc({ type: event.type });
    }
    return { order: replay(orderId, document.events), changed: true };
  }

  return (orderId, message) =>
    inSpan(`order: ${message.type}`, { 'order.id': orderId }, () =>
      retryOnConflict(() => attempt(orderId, message)),
    );
}

/** The newest event of an order. */
export function lastEvent({ value }: Stored<OrderDocument>): OrderDocument['events'][number] {
  const last = value.events.at(-1);
  if (!last) throw new Error(`the stream of order ${value.order_id} is empty`);
  return last;
}
