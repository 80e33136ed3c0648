import { cloudEvent, type CloudEvent } from '../shared/events.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { orderEvents } from './contract.ts';
import { replay } from './order.ts';
import type { OrderDocument } from './order-store.ts';

/** Tells of one event of an order, to services by a message and to those who watch it. */
export type Say = (document: OrderDocument, version: number) => Promise<void>;

/** @param changed is told of every version that is said */
export function sayer(sidecar: Sidecar, changed: (orderId: string, version: number) => void): Say {
  return async (document, version) => {
    changed(document.order_id, version);
    await sidecar.publish(messageOf(document, version));
  };
}

/**
 * The message that tells of one event of an order. It follows from the stream alone, so that saying it again gives the
 * same message.
 */
export function messageOf({ order_id, events }: OrderDocument, version: number): CloudEvent {
  const told = events.slice(0, version);
  const event = told.at(-1);
  if (event?.version !== version) throw new Error(`order ${order_id} has no version ${version}`);
  const order = replay(order_id, told);
  return cloudEvent(orderEvents, {
    id: `${order_id}:${version}`,
    type: event.type,
    subject: order_id,
    time: event.time,
    data: { order },
  });
}
