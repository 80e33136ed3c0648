import { z } from 'zod';
import { defineEvents } from '../shared/published-events.ts';
import { id } from '../shared/types.ts';

/** `shipment.dispatched`: the parcel has left; from here on the order cannot be cancelled. */
export const shipmentDispatchedData = z.object({ order_id: id, tracking_number: z.string() });
/**
 * `shipment.delivered`; tells the tracking number again, for whom it reaches before `shipment.dispatched`. With
 * `shipped_heard`, fulfilment had heard `order.shipped` before: orders need not say that once more.
 */
export const shipmentDeliveredData = shipmentDispatchedData.extend({ shipped_heard: z.boolean().optional() });
/** `shipment.stopped`: the parcel will not leave; the order may be cancelled. */
export const shipmentStoppedData = z.object({ order_id: id, reason: z.string() });

/**
 * `POST /shipments/:order_id/stop`, for orders only: 200 when the parcel will never leave, 409 when it has left.
 * Asking again gives the same answer.
 */
export const stopShipmentBody = z.strictObject({ reason: z.string() });

export const shipmentStoppedSchema = z.object({ status: z.literal('STOPPED') });

/** What fulfilment publishes. */
export const shipmentEvents = defineEvents('fulfilment', {
  'shipment.dispatched': shipmentDispatchedData,
  'shipment.delivered': shipmentDeliveredData,
  'shipment.stopped': shipmentStoppedData,
});
