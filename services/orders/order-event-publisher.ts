import { cloudEvent, type CloudEvent } from '../shared/dapr/cloud-event.ts';
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
  return async (document, version) => {
    broadcastChange(document.order_id, version);
    await sidecar.publish(toCloudEvent(document, version));
  };
}

/** The published form of one event. It depends on the stream alone, so that a repeated publish carries the same event. */
function toCloudEvent({ order_id, events }: OrderDocument, version: number): CloudEvent {
  const upTo = events.slice(0, version);
  const event = upTo.at(-1);
  if (event?.version !== version) throw new Error(`order ${order_id} has no version ${version}`);
  const order = replay(order_id, upTo);
  return cloudEvent(orderEvents, {
    id: `${order_id}:${version}`,
    type: event.type,
    subject: order_id,
    time: event.time,
    data: { order },
  });
}
