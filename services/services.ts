import { fulfilment } from './fulfilment/api.ts';
import { gateway } from './gateway/api.ts';
import { history } from './history/api.ts';
import { inventory } from './inventory/api.ts';
import { notifications } from './notifications/api.ts';
import { orders } from './orders/api.ts';
import { payments } from './payments/api.ts';
import { returns } from './returns/api.ts';
import type { ServiceDescription } from './shared/api-docs/route-table.ts';
import { users } from './users/api.ts';

const all = [
  gateway,
  users,
  inventory,
  orders,
  payments,
  fulfilment,
  notifications,
  history,
  returns,
] as const satisfies readonly ServiceDescription[];

/**
 * All services. The routes of the gateway, the documents, the types of the client, the table of access, the generated files
 * (`npm run generate`) and many tests follow from this list. The position of a service determines its ports in dapr.yaml.
 */
export const SERVICES: readonly ServiceDescription[] = all;

/** The route tables of all services as one type. */
export type Routes = UnionToIntersection<(typeof all)[number]['api']>;

type UnionToIntersection<Union> = (Union extends unknown ? (member: Union) => void : never) extends (
  member: infer Intersection,
) => void
  ? Intersection
  : never;
