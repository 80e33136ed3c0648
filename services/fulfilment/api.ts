import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { id } from '../shared/schemas/types.ts';
import { shipmentEvents, shipmentStoppedSchema, stopShipmentBody } from './contract.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

/** The fulfilment service's routes: none of them is public. */
export const fulfilmentApi = {
  'POST /shipments/:order_id/stop': {
    access: 'internal',
    summary: 'Stop the shipment of an order',
    params: z.object({ order_id: id }),
    body: stopShipmentBody,
    response: shipmentStoppedSchema,
    problems: { 'already-dispatched': { status: 409, description: 'The parcel has left the warehouse.' } },
    examples: { 'A cancelled order': { reason: 'cancelled by the customer' } },
    responseExample: { status: 'STOPPED' },
  },
  'DELETE /shipments/:order_id/reason': {
    access: 'internal',
    summary: 'Erase the reason of a stopped shipment',
    params: z.object({ order_id: id }),
    status: 204,
  },
} satisfies ServiceApi;

const parcel = { order_id: EXAMPLE.order, tracking_number: EXAMPLE.tracking };

/** The events that `fulfilment` publishes. */
const events = describeEvents(shipmentEvents, {
  'shipment.dispatched': {
    summary: 'The parcel has left the warehouse. The order can no longer be cancelled',
    example: parcel,
  },
  'shipment.delivered': {
    summary: 'The parcel has reached the customer',
    example: parcel,
  },
  'shipment.stopped': {
    summary: 'The parcel stays in the warehouse. The order can be cancelled',
    example: { order_id: EXAMPLE.order, reason: 'cancelled by the customer' },
  },
});

export const fulfilment = {
  name: 'fulfilment',
  summary: 'Shipments',
  api: fulfilmentApi,
  events: [events],
  calls: {},
  subscribes: [subscribedTo(orderEvents, 'order.paid', 'order.shipped')],
  uses: ['state', 'jobs'],
  config,
  metrics: METRICS,
  state: {
    'shipment:{order_id}': 'The shipment of an order.',
    'worklist:{shard}': 'Some of the shipments that have not ended.',
  },
  schemas: {},
} satisfies ServiceDescription;
