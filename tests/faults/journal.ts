import type { z } from 'zod';
import type { ApiResponse } from '../../services/gateway/client/types.ts';
import type { cartBody } from '../../services/orders/contract.ts';
import { tally } from './tally.ts';

/** An order request, which is repeated with the same key until it has a response. */
export interface OrderRequest {
  customer: number;
  key: string;
  body: z.input<typeof cartBody>;
  /** The final response: an order (201) or a rejection (4xx). Undefined while the outcome is unknown. */
  response?: { status: number; order_id?: string; total?: number };
}

export interface AcceptedOrder extends OrderRequest {
  /** The time of the response, in milliseconds. */
  at: number;
  response: { status: number; order_id: string; total: number };
}

export interface RestockRequest {
  key: string;
  product_id: string;
  quantity: number;
  done: boolean;
}

/** A refund request of the administrator for an earlier order. */
export interface RefundRequest {
  key: string;
  order_id: string;
  /** The final status: 200, or 409 for an order that was not shipped. Undefined while the outcome is unknown. */
  status?: 200 | 409;
}

/** A return of an earlier order: its request, and the steps that the shop and the customer take after that. */
export interface ReturnRequest {
  customer: number;
  key: string;
  order_id: string;
  items: { product_id: string; quantity: number }[];
  /** The steps that are not done yet. */
  steps: ('approve' | 'reject' | 'receive' | 'cancel')[];
  condition: 'sellable' | 'damaged';
  /** The id of the return; null if the request was refused. Undefined while the outcome is unknown. */
  return_id?: string | null;
}

/** A first try that failed. */
export interface FailedTry {
  action: string;
  at: Date;
  /** The response; undefined if none came. */
  response: { status: number; requestId: string } | undefined;
}

/** A violation of a promise. */
export interface Violation {
  /** The name of the check. */
  check: string;
  description: string;
}

/** The requests of a run and their responses, which the checks compare with the system. */
export interface Journal {
  requestedOrders: OrderRequest[];
  /** Accepted orders, by id. */
  accepted: Map<string, AcceptedOrder>;
  /** Orders with a successful cancellation. */
  cancelled: Set<string>;
  restocks: RestockRequest[];
  refunds: RefundRequest[];
  returns: ReturnRequest[];
  /** Order requests whose callers did not wait for a final response. */
  abandoned: OrderRequest[];
  /** The highest version of each order that a response has had. */
  highestVersions: Map<string, number>;
  /** First tries and how many of them failed, by action. */
  firstTries: Map<string, { sent: number; failed: number }>;
  failures: FailedTry[];
  /** Violations that the load has found. */
  violations: Violation[];
}

export function createJournal(): Journal {
  return {
    requestedOrders: [],
    accepted: new Map(),
    cancelled: new Set(),
    restocks: [],
    refunds: [],
    returns: [],
    abandoned: [],
    highestVersions: new Map(),
    firstTries: new Map(),
    failures: [],
    violations: [],
  };
}

/** Records an accepted order, once. */
export function recordAccepted(
  journal: Journal,
  request: OrderRequest,
  response: AcceptedOrder['response'],
): void {
  if (!journal.accepted.has(response.order_id))
    journal.accepted.set(response.order_id, { ...request, response, at: Date.now() });
}

/** Counts a first try. `response` is undefined if none came. */
export function countFirstTry(
  { firstTries, failures }: Journal,
  action: string,
  succeeded: boolean,
  response: ApiResponse<unknown> | undefined,
): void {
  const { sent, failed } = firstTries.get(action) ?? { sent: 0, failed: 0 };
  firstTries.set(action, { sent: sent + 1, failed: failed + (succeeded ? 0 : 1) });
  if (succeeded) return;
  const received = response && {
    status: response.status,
    requestId: String(response.headers['x-request-id']),
  };
  failures.push({ action, at: new Date(), response: received });
}

/** The number of first tries so far. */
export const requestsSent = ({ firstTries }: Journal): number =>
  [...firstTries.values()].reduce((sum, { sent }) => sum + sent, 0);

/** `cancel: 503` */
export const failureOf = ({ action, response }: FailedTry): string =>
  `${action}: ${response?.status ?? 'no response'}`;

/** Counts failed first tries by action and status. */
export const countFailures = (failures: readonly FailedTry[]): Record<string, number> =>
  tally(failures.map(failureOf));
