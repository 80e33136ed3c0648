import { parseRouteKey, type Method, type Operation } from '../shared/api-docs/route-table.ts';
import { SERVICES } from '../services.ts';

/** A route of the API, and the service that implements it. */
export interface Route extends Operation {
  method: Method;
  path: string;
  service: string;
}

/** The routes of the API: all routes of the services that are not internal. */
export const routes: readonly Route[] = SERVICES.flatMap(({ name, api }) =>
  Object.entries(api)
    .filter(([, { access }]) => access !== 'internal')
    .map(([address, operation]) => ({ ...parseRouteKey(address), service: name, ...operation })),
);
