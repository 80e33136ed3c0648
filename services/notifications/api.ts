import { CUSTOMER_EVENT_TYPES, orderEvents } from '../orders/contract.ts';
import { subscribedTo, type ServiceDescription } from '../shared/api-docs/route-table.ts';
import { userEvents } from '../users/contract.ts';

/** The description of `notifications`, which only receives events. */
export const notifications: ServiceDescription = {
  name: 'notifications',
  summary: 'E-mails to customers',
  api: {},
  events: [],
  calls: {},
  subscribes: [
    subscribedTo(orderEvents, ...CUSTOMER_EVENT_TYPES),
    subscribedTo(userEvents, ...userEvents.types),
  ],
  uses: ['state', 'bindings'],
  schemas: {},
};
