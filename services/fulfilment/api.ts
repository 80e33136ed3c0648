import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api.ts';
import { id } from '../shared/types.ts';
import { shipmentEvents, shipmentStoppedSchema, stopShipmentBody } from './contract.ts';

/** The fulfilment service's routes: none of them is public. */
export const fulfilmentApi = {
  'POST /shipments/:order_id/stop': {
    access: 'internal',
    summary: 'Keep the parcel of an order here',
    params: z.object({ order_id: id }),
    body: stopShipmentBody,
    answer: shipmentStoppedSchema,
    problems: { 'already-dispatched': { status: 409, when: 'The parcel has left.' } },
    examples: { 'A cancelled order': { reason: 'cancelled by the customer' } },
    answered: { status: 'STOPPED' },
  },
  'DELETE /shipments/:order_id/reason': {
    access: 'internal',
    summary: 'Erase why the parcel of an order was stopped',
    params: z.object({ order_id: id }),
    status: 204,
  },
} satisfies ServiceApi;

const parcel = { order_id: EXAMPLE.order, tracking_number: EXAMPLE.tracking };

/** The events that `fulfilment` publishes. */
const events = describeEvents(shipmentEvents, {
  'shipment.dispatched': {
    summary: 'The parcel has left: the order cannot be cancelled any more',
    example: parcel,
  },
  'shipment.delivered': {
    summary: 'The parcel has reached the customer',
    example: parcel,
  },
  'shipment.stopped': {
    summary: 'The parcel will not leave: the order may be cancelled',
    example: { order_id: EXAMPLE.order, reason: 'cancelled by the customer' },
  },
});

export const fulfilment: ServiceDescription = {
  name: 'fulfilment',
  summary: 'Parcels',
  api: fulfilmentApi,
  events: [events],
  calls: {},
  subscribes: [subscribedTo(orderEvents, 'order.paid', 'order.shipped')],
  uses: ['state', 'jobs'],
  schemas: {},
};
