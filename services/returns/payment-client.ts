import { returnRefundSchema } from '../payments/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { parseResponse } from '../shared/http/validation.ts';

/**
 * Refunds the price of a return, once, and returns what was given back for it, and for the order in total.
 *
 * @throws SidecarError, ProblemError 503 if `payments` does not refund
 */
export type RefundReturn = (
  orderId: string,
  returnId: string,
  amount: number,
) => Promise<{ amount: number; order_refunded: number }>;

export function createPaymentClient(sidecar: Pick<Sidecar, 'invoke'>): RefundReturn {
  return async (orderId, returnId, amount) => {
    const path = `/refunds/${orderId}/${returnId}`;
    const body = JSON.stringify({ amount });
    const response = await sidecar.invoke('payments', { method: 'PUT', path, body });
    const refund = parseResponse(returnRefundSchema, response);
    return { amount: refund.amount, order_refunded: refund.refunded };
  };
}
