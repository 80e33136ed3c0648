import type { z } from 'zod';
import { orderListSchema, orderSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { parseAnswer } from '../shared/validate.ts';

/** Milliseconds. */
const ANSWER_TIMEOUT = 5_000;

/**
 * What history asks orders.
 *
 * Both: @throws SidecarError, Problem 503 where no answer comes
 */
export interface Orders {
  /** `GET /orders`: orders as their streams have them. */
  list: (query: Record<string, string>) => Promise<z.infer<typeof orderListSchema>>;
  /** Erases the reason of a cancelled order; gives the order as it is then. */
  eraseReason: (orderId: string) => Promise<Order>;
}

export function orders(sidecar: Pick<Sidecar, 'invoke'>): Orders {
  const ask = (method: 'GET' | 'DELETE', path: string) =>
    sidecar.invoke('orders', { method, path, timeout: ANSWER_TIMEOUT });
  return {
    async list(query) {
      const path = `/orders?${new URLSearchParams(query).toString()}`;
      return parseAnswer(orderListSchema, await ask('GET', path));
    },
    async eraseReason(orderId) {
      return parseAnswer(orderSchema, await ask('DELETE', `/orders/${orderId}/reason`));
    },
  };
}
