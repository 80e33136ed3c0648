import { orderListSchema, paymentMethodSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { parseResponse } from '../shared/http/validation.ts';

/**
 * The calls to `orders`.
 *
 * Both: @throws SidecarError, Problem 503 if `orders` does not answer
 */
export interface OrderClient {
  /** The token of an order's card; undefined if nothing is to be paid any more. It must not be stored. */
  cardOf: (orderId: string) => Promise<string | undefined>;
  /** The order as it is now; undefined if there is none. */
  load: (orderId: string) => Promise<Order | undefined>;
}

export function createOrderClient(sidecar: Pick<Sidecar, 'invoke'>): OrderClient {
  const get = (path: string) => sidecar.invoke('orders', { method: 'GET', path });
  return {
    async cardOf(orderId) {
      const response = await get(`/orders/${orderId}/payment-method`);
      return response.status === 410 ? undefined : parseResponse(paymentMethodSchema, response).card_token;
    },
    async load(orderId) {
      return parseResponse(orderListSchema, await get(`/orders?ids=${orderId}`)).items[0];
    },
  };
}
