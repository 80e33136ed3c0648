import { orderListSchema, paymentMethodSchema, type Order } from '../orders/contract.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { parseAnswer } from '../shared/validate.ts';

/**
 * What payments asks orders.
 *
 * Both: @throws SidecarError, Problem 503 where that cannot be known now
 */
export interface Orders {
  /** The token of the card that is to pay for an order; undefined where nothing is to be paid any more. It must not be kept. */
  cardOf: (orderId: string) => Promise<string | undefined>;
  /** The order as it is now; undefined where there is none. */
  load: (orderId: string) => Promise<Order | undefined>;
}

export function orders(sidecar: Pick<Sidecar, 'invoke'>): Orders {
  const ask = (path: string) => sidecar.invoke('orders', { method: 'GET', path });
  return {
    async cardOf(orderId) {
      const response = await ask(`/orders/${orderId}/payment-method`);
      return response.status === 410 ? undefined : parseAnswer(paymentMethodSchema, response).card_token;
    },
    async load(orderId) {
      return parseAnswer(orderListSchema, await ask(`/orders?ids=${orderId}`)).items[0];
    },
  };
}
