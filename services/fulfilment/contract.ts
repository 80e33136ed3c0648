import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { id } from '../shared/schemas/types.ts';

/** `shipment.dispatched`: the parcel has left. The order cannot be cancelled any more. */
export const shipmentDispatchedData = z.object({ order_id: id, tracking_number: z.string() });
/**
 * `shipment.delivered` repeats the tracking number, because it may overtake `shipment.dispatched`. With `shipped_heard`,
 * `fulfilment` has received `order.shipped`: `orders` does not republish that.
 */
export const shipmentDeliveredData = shipmentDispatchedData.extend({ shipped_heard: z.boolean().optional() });
/** `shipment.stopped`: the parcel will not leave. The order may be cancelled. */
export const shipmentStoppedData = z.object({ order_id: id, reason: z.string() });

/**
 * `POST /shipments/:order_id/stop`, for `orders` only: 200 if the parcel will never leave, 409 if it has left. A repeated
 * request gets the same answer.
 */
export const stopShipmentBody = z.strictObject({ reason: z.string() });

export const shipmentStoppedSchema = z.object({ status: z.literal('STOPPED') });

/** The events that `fulfilment` publishes. */
export const shipmentEvents = defineEvents('fulfilment', {
  'shipment.dispatched': shipmentDispatchedData,
  'shipment.delivered': shipmentDeliveredData,
  'shipment.stopped': shipmentStoppedData,
});
