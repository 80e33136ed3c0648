import { CUSTOMER_EVENT_TYPES, orderEvents } from '../orders/contract.ts';
import { returnEvents } from '../returns/contract.ts';
import { subscribedTo, type ServiceDescription } from '../shared/api-docs/route-table.ts';
import { userEvents } from '../users/contract.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

/** The description of `notifications`, which only receives events. */
export const notifications = {
  name: 'notifications',
  summary: 'E-mails to customers',
  api: {},
  events: [],
  calls: {},
  subscribes: [
    subscribedTo(orderEvents, ...CUSTOMER_EVENT_TYPES),
    subscribedTo(returnEvents, ...returnEvents.types),
    subscribedTo(userEvents, ...userEvents.types),
  ],
  uses: ['state', 'bindings'],
  config,
  metrics: METRICS,
  state: {
    'recipient:{user_id}': 'The name and address of a user, or that the user is deleted.',
    'mail:{subject}:{kind}': 'That an e-mail was sent.',
  },
  schemas: {},
} satisfies ServiceDescription;
