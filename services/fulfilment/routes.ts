import { Router } from 'express';
import { aboutOrder } from '../shared/service.ts';
import { retryOnConflict } from '../shared/state.ts';
import { id } from '../shared/types.ts';
import { parseBody, parsePath } from '../shared/validate.ts';
import { stopShipmentBody } from './contract.ts';
import type { ShipmentStore } from './shipment-store.ts';
import { JOB_PREFIX, type Warehouse } from './warehouse.ts';

/** What orders and the scheduler call; nothing here is public. */
export function routes(warehouse: Warehouse, store: ShipmentStore): Router {
  const router = Router();

  router.post('/shipments/:order_id/stop', async (req, res) => {
    const orderId = orderIdOf(req.params.order_id);
    const { reason } = parseBody(stopShipmentBody, req.body);
    await warehouse(orderId, 'stop', reason);
    res.json({ status: 'STOPPED' });
  });

  router.delete('/shipments/:order_id/reason', async (req, res) => {
    const orderId = orderIdOf(req.params.order_id);
    await retryOnConflict(async () => {
      const stored = await store.load(orderId);
      if (!stored || stored.value.reason === undefined) return;
      const { reason: _, ...shipment } = stored.value;
      await store.write(shipment, stored);
    });
    res.status(204).end();
  });

  // Dapr takes 404 for done, everything else but a success for failed, and then fires again.
  router.post(`/job/${JOB_PREFIX}:order_id`, async (req, res) => {
    await warehouse(orderIdOf(req.params.order_id), 'tick');
    res.json({});
  });

  return router;
}

/** @throws Problem 404 where this is no id */
function orderIdOf(param: string): string {
  const orderId = parsePath(id, param, 'shipment');
  aboutOrder(orderId);
  return orderId;
}
