import type { OrderStatus } from '../orders/contract.ts';
import type { Logger } from '../shared/log.ts';
import { Problem } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import type { Announcer } from './announce-payment.ts';
import type { Cashier } from './cashier.ts';
import type { Orders } from './orders.ts';
import type { PaymentDocument } from './payment.ts';
import type { PaymentStore } from './payment-store.ts';

export interface RefundPayment {
  /**
   * Gives back all that was captured for an order that has left the shop; again: the same answer.
   *
   * @throws Problem 404 where there is no payment, 409 where nothing is captured or the order is still to be shipped
   */
  refund: (orderId: string) => Promise<PaymentDocument>;
  /** What the job of a refund does: what the request did not come to, until orders shows the refund. */
  goOn: (orderId: string) => Promise<void>;
}

/** An order that has come to one of these is never cancelled, so nothing but a refund gives its money back. */
const REFUNDABLE: ReadonlySet<OrderStatus> = new Set(['SHIPPED', 'DELIVERED']);

export const REFUND_JOB_PREFIX = 'refund-';
/** Not before the broker has delivered the event again. */
const JOB = { dueTime: '20s', schedule: '@every 20s' };

/**
 * Refunds by the shop: services/decisions/0031-refunds.md. A request has no redelivery as a message has. So a job is set before
 * the provider is asked. It ends when the order shows the refund, whatever was lost on the way.
 */
export function refundPayment(deps: {
  store: PaymentStore;
  cashier: Cashier;
  orders: Orders;
  announce: Announcer;
  sidecar: Pick<Sidecar, 'schedule' | 'unschedule'>;
  log: Logger;
}): RefundPayment {
  const { store, cashier, orders, announce, sidecar, log } = deps;

  async function demandShipped(orderId: string): Promise<void> {
    const status = (await orders.load(orderId))?.status;
    if (status && REFUNDABLE.has(status)) return;
    throw new Problem(
      409,
      'order-not-delivered',
      'Only an order that was shipped or delivered is refunded here. Cancel this order instead: that refunds it.',
    );
  }

  return {
    async refund(orderId) {
      if ((await store.load(orderId))?.value.status === 'CAPTURED') {
        await demandShipped(orderId);
        await sidecar.schedule(`${REFUND_JOB_PREFIX}${orderId}`, JOB);
      }
      const payment = await cashier.refund(orderId);
      await announce
        .refund(payment)
        .catch((err: unknown) => log.warn({ err }, 'payment.refunded is late: the job publishes it'));
      return payment;
    },

    async goOn(orderId) {
      const order = await orders.load(orderId);
      if (order && order.refunded === undefined) await announce.refund(await cashier.refund(orderId));
      else await sidecar.unschedule(`${REFUND_JOB_PREFIX}${orderId}`);
    },
  };
}
