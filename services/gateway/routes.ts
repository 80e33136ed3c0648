import { fulfilment } from '../fulfilment/api.ts';
import { history } from '../history/api.ts';
import { inventory } from '../inventory/api.ts';
import { notifications } from '../notifications/api.ts';
import { orders } from '../orders/api.ts';
import { payments } from '../payments/api.ts';
import {
  parseRouteKey,
  type Method,
  type Operation,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { users } from '../users/api.ts';
import { gateway } from './api.ts';

/** The services behind the gateway. */
export const SERVICES = [
  'users',
  'inventory',
  'orders',
  'payments',
  'fulfilment',
  'notifications',
  'history',
] as const;
export type Service = (typeof SERVICES)[number];

/** The services in the documents of the API. */
export const DESCRIPTIONS: readonly ServiceDescription[] = [
  orders,
  inventory,
  payments,
  users,
  history,
  gateway,
  fulfilment,
  notifications,
];

/** A route of the API, and the service that implements it. */
export interface Route extends Operation {
  method: Method;
  path: string;
  service: string;
}

/** The routes of the API: all routes of the services that are not internal. */
export const routes: readonly Route[] = DESCRIPTIONS.flatMap(({ name, api }) =>
  Object.entries(api)
    .filter(([, { access }]) => access !== 'internal')
    .map(([address, operation]) => ({ ...parseRouteKey(address), service: name, ...operation })),
);
