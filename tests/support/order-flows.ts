import { expect, it } from 'vitest';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import { mailsTo } from './mails.ts';
import { registerCustomer, getPayment, placeOrder, waitForStatus } from './shop.ts';
import { waitFor } from './wait.ts';

/** Defines tests of complete orders that pass on every kind of system. Dispatch must take at least a second after payment. */
export function defineOrderFlowTests(systemOf: () => RunningSystem): void {
  it('When an order is placed, then it is delivered, streamed live and confirmed by e-mail', async () => {
    const { urls } = systemOf();
    const customer = await registerCustomer(urls.api);
    const { orderId } = await placeOrder(customer);
    let seen: string | undefined;
    for await (const { order } of customer.call.watch(orderId, { signal: AbortSignal.timeout(20_000) }))
      seen = order.status;
    expect(seen).toBe('DELIVERED');
    const mails = await waitFor(
      'the e-mails about payment and dispatch',
      () => mailsTo(urls.mails, customer.email),
      { until: (found) => found.filter(({ html }) => html.includes(orderId)).length >= 2 },
    );
    expect(mails.filter(({ html }) => html.includes(orderId))).toHaveLength(2);
  });

  it('When a card is declined, then the order fails and no money is captured', async () => {
    const customer = await registerCustomer(systemOf().urls.api);
    const { orderId } = await placeOrder(customer, { card: 'tok_chargeDeclined' });
    await waitForStatus(customer, orderId, 'PAYMENT_FAILED');
    expect((await getPayment(customer, orderId))?.status).toBe('FAILED');
  });

  it('When an order is cancelled before dispatch, then the payment is refunded', async () => {
    const customer = await registerCustomer(systemOf().urls.api);
    const { orderId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'PAID');
    const params = { id: orderId };
    expect(unwrap(await customer.call('POST /api/orders/:id/cancel', { params })).status).toBe('CANCELLED');
    await waitFor('the payment is refunded', () => getPayment(customer, orderId), {
      until: (payment) => payment?.status === 'REFUNDED',
    });
  });
}
