import { Counter } from 'prom-client';
import { cloudEvent } from '../shared/events.ts';
import { Problem } from '../shared/problem.ts';
import { isRecent } from '../shared/recent.ts';
import type { ServiceDeps } from '../shared/service.ts';
import { retryOnConflict } from '../shared/state.ts';
import { inSpan } from '../shared/tracing.ts';
import { shipmentEvents } from './contract.ts';
import type { ShipmentStore } from './shipment-store.ts';
import { announcement, decide, trackingNumber, type Message, type Shipment } from './shipment.ts';

export interface Delays {
  dispatchAfterMs: number;
  deliverAfterMs: number;
}

interface WarehouseDeps extends Pick<ServiceDeps, 'log' | 'metrics' | 'sidecar'> {
  store: ShipmentStore;
  /** The orders of which `order.shipped` was heard lately, as far as this process knows. */
  heard: { has: (orderId: string) => boolean };
  delays: Delays;
  now: () => Date;
}

export type Warehouse = ReturnType<typeof warehouse>;

export const JOB_PREFIX = 'shipment-';

/** A job ticks on until it is removed: whatever a crash leaves undone is done at the next tick. */
const TICK_AGAIN = '@every 3s';

/** Carries out what the rules say of a message: write, say, see to the job. It returns when all is done. */
export function warehouse({ store, heard, sidecar, delays, now, log, metrics }: WarehouseDeps) {
  const shipments = new Counter({
    name: 'shipments_total',
    help: 'Shipments that reached a status',
    labelNames: ['status'],
    registers: [metrics],
  });
  const delayOf = ({ status }: Shipment) =>
    status === 'PREPARING' ? delays.dispatchAfterMs : delays.deliverAfterMs;

  async function decideAndWrite(orderId: string, message: Message, reason: string | undefined) {
    const before = await store.load(orderId);
    const decision = decide(before?.value.status, message, before !== undefined && isDue(before.value));
    if (!decision)
      throw new Problem(409, 'already-dispatched', 'The parcel has left; it cannot be stopped any more.');
    const { to: status, ...rest } = decision;
    if (!status) return { ...rest, shipment: before?.value };
    const shipment: Shipment = {
      order_id: orderId,
      status,
      tracking_number: trackingNumber(orderId),
      updated_at: now().toISOString(),
      ...(reason === undefined ? {} : { reason }),
    };
    await store.write(shipment, before);
    shipments.inc({ status });
    log.info({ status }, 'shipment written');
    return { ...rest, shipment };
  }

  // A time in the future was written by a clock that was ahead. To wait for it could take as long as that clock was ahead.
  const isDue = (shipment: Shipment) => !isRecent(shipment.updated_at, delayOf(shipment), now());

  async function say(shipment: Shipment): Promise<void> {
    const { order_id, updated_at } = shipment;
    const said = announcement(shipment, heard.has(order_id));
    if (!said) return;
    const id = `${order_id}:${said.type}`;
    await sidecar.publish(cloudEvent(shipmentEvents, { id, subject: order_id, time: updated_at, ...said }));
  }

  /** @throws Problem 409 where the parcel has left and is to be stopped */
  return async (orderId: string, message: Message, reason?: string): Promise<void> =>
    inSpan(`shipment: ${message}`, { order_id: orderId }, async () => {
      const { shipment, ...then } = await retryOnConflict(() => decideAndWrite(orderId, message, reason));
      if (then.say && shipment) await say(shipment);
      const job = `${JOB_PREFIX}${orderId}`;
      if (then.job === 'set' && shipment)
        await sidecar.schedule(job, { dueTime: `${delayOf(shipment)}ms`, schedule: TICK_AGAIN });
      // Where it cannot be removed now, it ticks once more and is removed then: nobody who ships, or cancels, waits for that.
      if (then.job === 'remove')
        await sidecar
          .unschedule(job)
          .catch((err: unknown) => log.debug({ err }, 'the job of a shipment ticks once more'));
    });
}
