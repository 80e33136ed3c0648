import { paymentMethodSchema } from '../orders/contract.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { parseAnswer } from '../shared/validate.ts';

/**
 * The token of the card that is to pay for an order; undefined where nothing is to be paid any more. It must not be kept.
 *
 * @throws SidecarError, Problem 503 where that cannot be known now
 */
export type CardOf = (orderId: string) => Promise<string | undefined>;

/** Asks orders. */
export function cards(sidecar: Pick<Sidecar, 'invoke'>): CardOf {
  return async (orderId) => {
    const path = `/orders/${orderId}/payment-method`;
    const response = await sidecar.invoke('orders', { method: 'GET', path });
    return response.status === 410 ? undefined : parseAnswer(paymentMethodSchema, response).card_token;
  };
}
