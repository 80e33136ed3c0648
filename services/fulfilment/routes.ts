import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { Router } from 'express';

import { retryOnConflict } from '../shared/dapr/state-store.ts';
import { id } from '../shared/schemas/types.ts';
import { parseBody, parsePath } from '../shared/http/validation.ts';
import { stopShipmentBody } from './contract.ts';
import type { ShipmentProcess } from './shipment-process.ts';
import type { ShipmentStore } from './store/shipment-store.ts';

/** The routes that `orders` calls. None of them is public. */
export function createRoutes(deps: { shipmentProcess: ShipmentProcess; store: ShipmentStore }): Router {
  const { shipmentProcess, store } = deps;
  const router = Router();

  router.post('/shipments/:order_id/stop', async (req, res) => {
    const orderId = orderIdOf(req.params.order_id);
    const { reason } = parseBody(stopShipmentBody, req.body);
    await shipmentProcess.applyTrigger(orderId, 'stop', reason);
    res.json({ status: 'STOPPED' });
  });

  router.delete('/shipments/:order_id/reason', async (req, res) => {
    const orderId = orderIdOf(req.params.order_id);
    await retryOnConflict(async () => {
      const stored = await store.load(orderId);
      if (!stored || stored.value.reason === undefined) return;
      const { reason: _, ...shipment } = stored.value;
      await store.save(shipment, stored);
    });
    res.status(204).end();
  });

  return router;
}

/** @throws ProblemError 404 if this is no id */
function orderIdOf(param: string): string {
  const orderId = parsePath(id, param, 'shipment');
  addRequestFields({ order_id: orderId });
  return orderId;
}
