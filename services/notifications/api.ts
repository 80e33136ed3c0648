import type { ServiceDescription } from '../shared/api.ts';

/** Nobody calls notifications, and it says nothing: it listens, and writes e-mails. */
export const notifications: ServiceDescription = {
  name: 'notifications',
  summary: 'E-mails to customers',
  api: {},
  events: [],
  schemas: {},
};
