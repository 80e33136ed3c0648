import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { orderEvents } from './contract.ts';
import { replay } from './domain/order.ts';
import type { OrderDocument } from './store/order-store.ts';

/** Publishes one event of an order's stream, and hands the version to the change feed. */
export type PublishOrderEvent = (document: OrderDocument, version: number) => Promise<void>;

export function createOrderEventPublisher(
  sidecar: Sidecar,
  broadcastChange: (orderId: string, version: number) => void,
): PublishOrderEvent {
  const { publish } = createEventPublisher(sidecar, orderEvents);
  return async ({ order_id, events }, version) => {
    broadcastChange(order_id, version);
    const upTo = events.slice(0, version);
    const event = upTo.at(-1);
    if (event?.version !== version) throw new Error(`order ${order_id} has no version ${version}`);
    // All parts depend on the stream alone, so that a repeated publish carries the same event.
    await publish(event.type, {
      id: `${order_id}:${version}`,
      subject: order_id,
      time: event.time,
      data: { order: replay(order_id, upTo) },
    });
  };
}
