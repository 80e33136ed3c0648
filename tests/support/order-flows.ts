import { expect, it } from 'vitest';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import { mailsTo } from './mails.ts';
import { newCustomer, paymentOf, placeOrder, untilStatus } from './shop.ts';
import { until } from './wait.ts';

/** Tests for a `describe`: what orders come to, whatever the system stands on. A paid one has to wait a second for its dispatch. */
export function ordersGoTheirWay(systemOf: () => RunningSystem): void {
  it('When an order is placed, then it is delivered, seen live, and told by mail', async () => {
    const { urls } = systemOf();
    const customer = await newCustomer(urls.api);
    const { orderId } = await placeOrder(customer);
    let seen: string | undefined;
    for await (const { order } of customer.call.watch(orderId, { signal: AbortSignal.timeout(20_000) }))
      seen = order.status;
    expect(seen).toBe('DELIVERED');
    const mails = await until(
      'the confirmation and the dispatch',
      () => mailsTo(urls.mails, customer.email),
      (found) => found.filter(({ html }) => html.includes(orderId)).length >= 2,
    );
    expect(mails.filter(({ html }) => html.includes(orderId))).toHaveLength(2);
  });

  it('When a card is declined, then the order has failed and no money is kept', async () => {
    const customer = await newCustomer(systemOf().urls.api);
    const { orderId } = await placeOrder(customer, { card: 'tok_chargeDeclined' });
    await untilStatus(customer, orderId, 'PAYMENT_FAILED');
    expect((await paymentOf(customer, orderId))?.status).toBe('FAILED');
  });

  it('When an order is cancelled before it is dispatched, then the money goes back', async () => {
    const customer = await newCustomer(systemOf().urls.api);
    const { orderId } = await placeOrder(customer);
    await untilStatus(customer, orderId, 'PAID');
    const params = { id: orderId };
    expect(unwrap(await customer.call('POST /api/orders/:id/cancel', { params })).status).toBe('CANCELLED');
    await until(
      'it is refunded',
      () => paymentOf(customer, orderId),
      (payment) => payment?.status === 'REFUNDED',
    );
  });
}
