import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { Router } from 'express';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { callerOf, canRead, requireAdmin } from '../shared/http/caller.ts';
import { sendPage } from '../shared/http/pagination.ts';
import { notFound } from '../shared/http/problem.ts';

import { id, noBody } from '../shared/schemas/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import { paymentListQuery, returnRefundBody } from './contract.ts';
import { publicPayment } from './domain/payment.ts';
import { totalOf, type TimeLimitedProvider } from './provider.ts';
import type { RefundPayment } from './refund-payment.ts';
import type { PaymentProcessor } from './payment-processor.ts';
import type { PaymentStore } from './store/payment-store.ts';

/** The public routes under `/api/payments`, and the refund of a return. */
export function createRoutes(deps: {
  store: PaymentStore;
  provider: TimeLimitedProvider;
  refundPayment: RefundPayment;
  processor: Pick<PaymentProcessor, 'refundReturn'>;
  withIdempotency: WithIdempotency;
}): Router {
  const { store, provider, refundPayment, processor, withIdempotency } = deps;
  const router = Router();

  router.get('/api/payments', async (req, res) => {
    const caller = callerOf(req);
    const { order_id } = parseQuery(paymentListQuery, req.query);
    const stored = await store.load(order_id);
    const payment =
      stored && canRead(caller, stored.value.customer_id) ? publicPayment(stored.value) : undefined;
    sendPage(req, res, { items: payment ? [payment] : [], nextCursor: null });
  });

  router.post('/api/payments/:order_id/refund', async (req, res) => {
    requireAdmin(req);
    const orderId = orderIdOf(req.params.order_id);
    parseBody(noBody, req.body);
    await withIdempotency(req, res, { name: 'refund', request: { orderId } }, async () => ({
      status: 200,
      body: publicPayment(await refundPayment(orderId)),
    }));
  });

  // For `returns` only. The path is not under /api, so the gateway does not forward it.
  router.put('/refunds/:order_id/:return_id', async (req, res) => {
    const orderId = orderIdOf(req.params.order_id);
    const returnId = parsePath(id, req.params.return_id, 'return');
    const { amount } = parseBody(returnRefundBody, req.body);
    const { returns, refunded, currency } = await processor.refundReturn(orderId, returnId, amount);
    res.set('cache-control', 'no-store').json({ amount: returns?.[returnId] ?? 0, refunded, currency });
  });

  /** The provider's own records, to reconcile with. */
  router.get('/api/payments/ledger/:order_id', async (req, res) => {
    requireAdmin(req);
    const orderId = orderIdOf(req.params.order_id);
    const ledger = await provider.ledger(orderId);
    if (!ledger) throw notFound('ledger');
    const { captures, refunds } = ledger;
    res.set('cache-control', 'no-store').json({
      order_id: orderId,
      captured: totalOf(captures),
      refunded: totalOf(refunds),
      captures,
      refunds,
    });
  });

  return router;
}

/** @throws ProblemError 404 if this is no id */
function orderIdOf(param: string): string {
  const orderId = parsePath(id, param, 'payment');
  addRequestFields({ order_id: orderId });
  return orderId;
}
