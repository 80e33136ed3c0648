import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import { ProblemError } from '../shared/http/problem.ts';
import { isRecent } from '../shared/util/time.ts';
import type { ServiceDeps } from '../shared/runtime/service-app.ts';
import { createCounter } from '../shared/telemetry/metrics.ts';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import { retryOnConflict, type StateEntry } from '../shared/dapr/state-store.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { shipmentEvents } from './contract.ts';
import { statusEvent, trackingNumber, type Shipment } from './domain/shipment.ts';
import { decide, type ShipmentTrigger } from './domain/state-machine.ts';
import { METRICS } from './metrics.ts';
import type { ShipmentStore } from './store/shipment-store.ts';

export interface Delays {
  dispatchAfterMs: number;
  deliverAfterMs: number;
}

interface ShipmentProcessDeps extends Pick<ServiceDeps, 'log' | 'metrics' | 'sidecar'> {
  store: ShipmentStore;
  /** The orders whose `order.shipped` this process has received lately. */
  orderShippedReceived: { has: (orderId: string) => boolean };
  delays: () => Delays;
  now: () => Date;
}

export type ShipmentProcess = ReturnType<typeof createShipmentProcess>;

export const JOB_PREFIX = 'shipment-';

/** The job ticks until it is cancelled. The next tick completes what a crash leaves undone. */
const TICK_SCHEDULE = '@every 3s';

/** Applies triggers to shipments: load, decide, save, publish, schedule or cancel the job. */
export function createShipmentProcess(deps: ShipmentProcessDeps) {
  const { store, orderShippedReceived, sidecar, delays, now, log } = deps;
  const events = createEventPublisher(sidecar, shipmentEvents);
  const transitions = createCounter(deps.metrics, METRICS.transitions);
  const delayMsOf = ({ status }: Shipment) =>
    status === 'PREPARING' ? delays().dispatchAfterMs : delays().deliverAfterMs;

  // A time in the future comes from a clock that was ahead. Waiting for it could take as long as that clock was ahead.
  const isDue = (shipment: Shipment) => !isRecent(shipment.updated_at, delayMsOf(shipment), now());

  /** Most paid orders have no shipment yet. Creating it needs no read, because the write is refused if there is one. */
  async function createOrChange(orderId: string, trigger: ShipmentTrigger, reason: string | undefined) {
    if (trigger === 'order.paid')
      try {
        return await decideAndSave(orderId, trigger, reason, undefined);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    return retryOnConflict(async () => decideAndSave(orderId, trigger, reason, await store.load(orderId)));
  }

  async function decideAndSave(
    orderId: string,
    trigger: ShipmentTrigger,
    reason: string | undefined,
    before: StateEntry<Shipment> | undefined,
  ) {
    const decision = decide(before?.value.status, trigger, before !== undefined && isDue(before.value));
    if (!decision)
      throw new ProblemError(
        409,
        'already-dispatched',
        'The parcel has left the warehouse. The shipment can no longer be stopped.',
      );
    const { to: status, publish, job } = decision;
    if (!status) return { publish, job, shipment: before?.value };
    const shipment: Shipment = {
      order_id: orderId,
      status,
      tracking_number: trackingNumber(orderId),
      updated_at: now().toISOString(),
      ...(reason === undefined ? {} : { reason }),
    };
    await store.save(shipment, before);
    transitions.inc({ status });
    log.info({ status }, 'shipment status changed');
    return { publish, job, shipment };
  }

  async function publishStatus(shipment: Shipment): Promise<void> {
    const { order_id, updated_at } = shipment;
    const event = statusEvent(shipment, orderShippedReceived.has(order_id));
    if (!event) return;
    const { type, data } = event;
    await events.publish(type, { id: `${order_id}:${type}`, subject: order_id, time: updated_at, data });
  }

  async function cancelJob(job: string): Promise<void> {
    // Neither shipping nor a cancellation waits for this: a job that stays ticks once more and is cancelled then.
    await sidecar
      .deleteJob(job)
      .catch((err: unknown) => log.debug({ err }, 'cancelling the shipment job failed; its next tick will'));
  }

  return {
    /** @throws ProblemError 409 if the shipment is to be stopped and the parcel has left */
    applyTrigger: async (orderId: string, trigger: ShipmentTrigger, reason?: string): Promise<void> =>
      inSpan('update shipment', { 'shipment.trigger': trigger }, async () => {
        const { shipment, publish, job } = await createOrChange(orderId, trigger, reason);
        if (publish && shipment) await publishStatus(shipment);
        const name = `${JOB_PREFIX}${orderId}`;
        if (job === 'schedule' && shipment)
          await sidecar.scheduleJob(name, { dueTime: `${delayMsOf(shipment)}ms`, schedule: TICK_SCHEDULE });
        if (job === 'cancel') await cancelJob(name);
      }),
  };
}
