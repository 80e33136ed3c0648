import type { z } from 'zod';
import { orderListSchema, orderSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { parseResponse } from '../shared/http/validation.ts';

/**
 * The calls of `orders`.
 *
 * @throws SidecarError or Problem 503 without a response
 */
export interface OrderClient {
  /** `GET /orders`: orders, replayed from their streams. */
  list: (query: Record<string, string>) => Promise<z.infer<typeof orderListSchema>>;
  /** Erases the reason of a cancelled order, and returns the updated order. */
  eraseReason: (orderId: string) => Promise<Order>;
}

export function createOrderClient(sidecar: Pick<Sidecar, 'invoke'>): OrderClient {
  const ask = (method: 'GET' | 'DELETE', path: string) => sidecar.invoke('orders', { method, path });
  return {
    async list(query) {
      const path = `/orders?${new URLSearchParams(query).toString()}`;
      return parseResponse(orderListSchema, await ask('GET', path));
    },
    async eraseReason(orderId) {
      return parseResponse(orderSchema, await ask('DELETE', `/orders/${orderId}/reason`));
    },
  };
}
