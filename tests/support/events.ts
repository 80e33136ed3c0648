import { shipmentEvents } from '../../services/fulfilment/contract.ts';
import { inventoryEvents } from '../../services/inventory/contract.ts';
import { orderBroadcasts, orderEvents } from '../../services/orders/contract.ts';
import { paymentEvents } from '../../services/payments/contract.ts';
import { returnEvents } from '../../services/returns/contract.ts';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import type { PublishedEvents } from '../../services/shared/schemas/published-events.ts';
import { userEvents } from '../../services/users/contract.ts';

/** The events that each service publishes. */
export const PUBLISHED: readonly PublishedEvents[] = [
  inventoryEvents,
  orderBroadcasts,
  orderEvents,
  paymentEvents,
  returnEvents,
  shipmentEvents,
  userEvents,
];

/** An event as its publisher would send it, with the fields in `overrides` replaced. */
export function buildEvent(type: string, data: unknown, overrides: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: '1.0',
    id: 'event-1',
    source: PUBLISHED.find(({ types }) => types.includes(type))?.source ?? 'unknown',
    type,
    subject: 'the-id-of-the-order-product-or-user',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    data,
    ...overrides,
  };
}
