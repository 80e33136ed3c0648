import type { z } from 'zod';
import type { shipmentDeliveredData, shipmentDispatchedData, shipmentStoppedData } from '../contract.ts';
import type { ShipmentStatus } from './state-machine.ts';

export interface Shipment {
  order_id: string;
  status: ShipmentStatus;
  tracking_number: string;
  /** The time at which the shipment reached this status. */
  updated_at: string;
  /** The reason why it was stopped. */
  reason?: string;
}

type StatusEvent =
  | { type: 'shipment.dispatched'; data: z.infer<typeof shipmentDispatchedData> }
  | { type: 'shipment.delivered'; data: z.infer<typeof shipmentDeliveredData> }
  | { type: 'shipment.stopped'; data: z.infer<typeof shipmentStoppedData> };

/**
 * The event of a shipment's status; undefined while the parcel is being prepared.
 *
 * @param orderShippedReceived whether `orders` is known to have published `order.shipped`
 */
export function statusEvent(
  { order_id, status, tracking_number, reason = 'stopped' }: Shipment,
  orderShippedReceived: boolean,
): StatusEvent | undefined {
  switch (status) {
    case 'PREPARING':
      return undefined;
    case 'DISPATCHED':
      return { type: 'shipment.dispatched', data: { order_id, tracking_number } };
    case 'DELIVERED':
      return {
        type: 'shipment.delivered',
        data: { order_id, tracking_number, ...(orderShippedReceived ? { shipped_heard: true } : {}) },
      };
    case 'STOPPED':
      return { type: 'shipment.stopped', data: { order_id, reason } };
  }
}

const TRACKING_DIGITS = 14;

/** `SC`, 14 digits of the order's id, and their check digit (Luhn, ISO/IEC 7812-1). An order always has the same number. */
export function trackingNumber(orderId: string): string {
  const number = BigInt(`0x${orderId.replaceAll('-', '')}`) % 10n ** BigInt(TRACKING_DIGITS);
  const digits = String(number).padStart(TRACKING_DIGITS, '0');
  return `SC${digits}${luhn(digits)}`;
}

function luhn(digits: string): number {
  const sum = Array.from(digits, Number)
    .toReversed()
    .reduce((before, digit, position) => {
      const weighted = digit * (position % 2 === 0 ? 2 : 1);
      return before + (weighted > 9 ? weighted - 9 : weighted);
    }, 0);
  return (10 - (sum % 10)) % 10;
}
