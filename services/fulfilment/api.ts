import { z } from 'zod';
import { EXAMPLE, type ServiceApi, type ServiceDescription, type ServiceEvents } from '../shared/api.ts';
import { id } from '../shared/types.ts';
import {
  shipmentDeliveredData,
  shipmentDispatchedData,
  shipmentStoppedData,
  shipmentStoppedSchema,
  stopShipmentBody,
} from './contract.ts';

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
} satisfies ServiceApi;

const parcel = { order_id: EXAMPLE.order, tracking_number: EXAMPLE.tracking };

/** What fulfilment says. */
export const fulfilmentEvents = {
  'shipment.dispatched': {
    summary: 'The parcel has left: the order cannot be cancelled any more',
    data: shipmentDispatchedData,
    example: parcel,
  },
  'shipment.delivered': {
    summary: 'The parcel has reached the customer',
    data: shipmentDeliveredData,
    example: parcel,
  },
  'shipment.stopped': {
    summary: 'The parcel will not leave: the order may be cancelled',
    data: shipmentStoppedData,
    example: { order_id: EXAMPLE.order, reason: 'cancelled by the customer' },
  },
} satisfies ServiceEvents;

export const fulfilment: ServiceDescription = {
  name: 'fulfilment',
  summary: 'Parcels',
  api: fulfilmentApi,
  events: fulfilmentEvents,
  schemas: {},
};
