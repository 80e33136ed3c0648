import type { z } from 'zod';
import type { shipmentDeliveredData, shipmentDispatchedData, shipmentStoppedData } from './contract.ts';

export type ShipmentStatus = 'PREPARING' | 'DISPATCHED' | 'DELIVERED' | 'STOPPED';

export interface Shipment {
  order_id: string;
  status: ShipmentStatus;
  tracking_number: string;
  /** When this status was reached. */
  updated_at: string;
  /** Why it was stopped. */
  reason?: string;
}

/** Whatever can move a shipment; `tick` is its job. */
export type Message = 'order.paid' | 'order.shipped' | 'stop' | 'tick';

/** What follows from a message, done in this order: a crash in between leaves nothing that the next tick cannot do. */
export interface Decision {
  /** The status to write; none: it stays. */
  to?: ShipmentStatus;
  /** Whether to say what the status means for the order; again, where it was said before. */
  say: boolean;
  /** The job that ticks until the shipment has ended. */
  job: 'set' | 'remove' | 'keep';
}

/**
 * The rule of shipments. Total over every status and message, and the same for a message that comes twice.
 *
 * @param isDue whether the time that the status takes has passed
 * @returns undefined where it is too late to stop
 */
export function decide(
  status: ShipmentStatus | undefined,
  message: Message,
  isDue: boolean,
): Decision | undefined {
  switch (message) {
    case 'order.paid':
      if (status === undefined) return { to: 'PREPARING', say: false, job: 'set' };
      return status === 'PREPARING' || status === 'DISPATCHED'
        ? goOn(status, isDue)
        : { say: true, job: 'keep' };
    case 'order.shipped':
      if (status === 'DELIVERED') return { say: true, job: 'keep' };
      if (status === 'DISPATCHED') return isDue ? goOn(status, true) : { say: false, job: 'keep' };
      // The parcel is still here, or even stopped: the shop has shipped it by hand.
      return { to: 'DISPATCHED', say: true, job: 'set' };
    case 'stop':
      if (status === 'DISPATCHED' || status === 'DELIVERED') return undefined;
      // Also where nothing is known: an order.paid that comes later must not ship.
      return status === 'STOPPED'
        ? { say: true, job: 'remove' }
        : { to: 'STOPPED', say: true, job: 'remove' };
    case 'tick':
      if (status === 'PREPARING') return goOn(status, true);
      if (status === 'DISPATCHED') return goOn(status, isDue);
      return { say: true, job: 'remove' };
  }
}

/**
 * What has come to its time goes on, also by a message that is said again: the scheduler may be away, or have lost the job.
 */
function goOn(status: 'PREPARING' | 'DISPATCHED', isDue: boolean): Decision {
  if (!isDue) return { say: true, job: 'set' };
  return status === 'PREPARING'
    ? { to: 'DISPATCHED', say: true, job: 'set' }
    : { to: 'DELIVERED', say: true, job: 'remove' };
}

type Announcement =
  | { type: 'shipment.dispatched'; data: z.infer<typeof shipmentDispatchedData> }
  | { type: 'shipment.delivered'; data: z.infer<typeof shipmentDeliveredData> }
  | { type: 'shipment.stopped'; data: z.infer<typeof shipmentStoppedData> };

/**
 * What a status means for the order; nothing, while the parcel is being prepared.
 *
 * @param shippedHeard whether orders is known to have said `order.shipped`
 */
export function announcement(
  { order_id, status, tracking_number, reason = 'stopped' }: Shipment,
  shippedHeard: boolean,
): Announcement | undefined {
  switch (status) {
    case 'PREPARING':
      return undefined;
    case 'DISPATCHED':
      return { type: 'shipment.dispatched', data: { order_id, tracking_number } };
    case 'DELIVERED':
      return {
        type: 'shipment.delivered',
        data: { order_id, tracking_number, ...(shippedHeard ? { shipped_heard: true } : {}) },
      };
    case 'STOPPED':
      return { type: 'shipment.stopped', data: { order_id, reason } };
  }
}

const TRACKING_DIGITS = 14;

/** `SC`, 14 digits of the order's id and their check digit (Luhn, ISO/IEC 7812-1): always the same for an order. */
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
