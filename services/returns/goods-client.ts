import { orderListSchema, type Order } from '../orders/contract.ts';
import { returnRefundSchema } from '../payments/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { unavailable } from '../shared/http/problem.ts';
import { parseResponse } from '../shared/http/validation.ts';
import type { Quantity } from './domain/return.ts';

/** The services that know what was bought, hold the money, and store the goods. All: @throws SidecarError, ProblemError 503 */
export interface GoodsClient {
  /** The order; undefined if there is none. */
  order: (orderId: string) => Promise<Order | undefined>;
  /** Refunds the price of a return, once. */
  refund: (
    orderId: string,
    returnId: string,
    amount: number,
  ) => Promise<{ amount: number; order_refunded: number }>;
  /** Puts lines back into the stock, once per return. */
  takeBack: (orderId: string, returnId: string, lines: readonly Quantity[]) => Promise<void>;
}

export function createGoodsClient(sidecar: Pick<Sidecar, 'invoke'>): GoodsClient {
  return {
    async order(orderId) {
      const path = `/orders?ids=${orderId}`;
      return parseResponse(orderListSchema, await sidecar.invoke('orders', { method: 'GET', path })).items[0];
    },
    async refund(orderId, returnId, amount) {
      const path = `/refunds/${orderId}/${returnId}`;
      const body = JSON.stringify({ amount });
      const response = await sidecar.invoke('payments', { method: 'PUT', path, body });
      const refund = parseResponse(returnRefundSchema, response);
      return { amount: refund.amount, order_refunded: refund.refunded };
    },
    async takeBack(orderId, returnId, lines) {
      const path = `/returns/${orderId}/${returnId}`;
      const body = JSON.stringify({ items: lines });
      const { status } = await sidecar.invoke('inventory', { method: 'PUT', path, body });
      if (status >= 300) throw unavailable();
    },
  };
}
