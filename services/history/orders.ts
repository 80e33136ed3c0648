import type { z } from 'zod';
import { orderListSchema, orderSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { parseAnswer } from '../shared/validate.ts';

/** Milliseconds. */
const ANSWER_TIMEOUT = 5_000;

/**
 * The calls of `orders`.
 *
 * @throws SidecarError or Problem 503 without a response
 */
export interface Orders {
  /** `GET /orders`: orders, replayed from their streams. */
  list: (query: Record<string, string>) => Promise<z.infer<typeof orderListSchema>>;
  /** Erases the reason of a cancelled order, and returns the updated order. */
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
