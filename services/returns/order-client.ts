import { orderListSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { parseResponse } from '../shared/http/validation.ts';

/** Loads an order; undefined if there is none. @throws SidecarError, ProblemError 503 if `orders` does not answer */
export type LoadOrder = (orderId: string) => Promise<Order | undefined>;

export function createOrderClient(sidecar: Pick<Sidecar, 'invoke'>): LoadOrder {
  return async (orderId) => {
    const path = `/orders?ids=${orderId}`;
    return parseResponse(orderListSchema, await sidecar.invoke('orders', { method: 'GET', path })).items[0];
  };
}
