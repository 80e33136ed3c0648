import { CUSTOMER_EVENT_TYPES, orderEvents } from '../orders/contract.ts';
import { subscribedTo, type ServiceDescription } from '../shared/api.ts';
import { userEvents } from '../users/contract.ts';

/** Nobody calls notifications, and it says nothing: it listens, and writes e-mails. */
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
