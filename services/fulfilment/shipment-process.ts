import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import { ProblemError } from '../shared/http/problem.ts';
import { isRecent } from '../shared/util/time.ts';
import type { ServiceDeps } from '../shared/runtime/service-app.ts';
import { createCounter } from '../shared/telemetry/metrics.ts';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import { retryOnConflict, type StateEntry } from '../shared/dapr/state-store.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import type { WorkList } from '../shared/dapr/work-list.ts';
import { shipmentEvents } from './contract.ts';
import { statusEvent, trackingNumber, type Shipment } from './domain/shipment.ts';
import { decide, isOpen, type ShipmentTrigger } from './domain/state-machine.ts';
import { METRICS } from './metrics.ts';
import type { ShipmentStore } from './store/shipment-store.ts';

export interface Delays {
  dispatchAfterMs: number;
  deliverAfterMs: number;
}

interface ShipmentProcessDeps extends Pick<ServiceDeps, 'log' | 'metrics' | 'sidecar'> {
  store: ShipmentStore;
  /** The shipments that have not ended. */
  watched: Pick<WorkList, 'add'>;
  /** The orders whose `order.shipped` this process has received lately. */
  orderShippedReceived: { has: (orderId: string) => boolean };
  delays: () => Delays;
  now: () => Date;
}

export type ShipmentProcess = ReturnType<typeof createShipmentProcess>;

/** Applies triggers to shipments: load, decide, save, publish. */
export function createShipmentProcess(deps: ShipmentProcessDeps) {
  const { store, watched, orderShippedReceived, sidecar, delays, now, log } = deps;
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
    const { to: status, publish } = decision;
    if (!status) return { publish, shipment: before?.value };
    const shipment: Shipment = {
      order_id: orderId,
      status,
      tracking_number: trackingNumber(orderId),
      updated_at: now().toISOString(),
      ...(reason === undefined ? {} : { reason }),
    };
    const isNew = isOpen(status) && !isOpen(before?.value.status);
    await store.save(shipment, before, ...(isNew ? [watched.add(orderId, delayMsOf(shipment))] : []));
    transitions.inc({ status });
    log.info({ status }, 'shipment status changed');
    return { publish, shipment };
  }

  async function publishStatus(shipment: Shipment): Promise<void> {
    const { order_id, updated_at } = shipment;
    const event = statusEvent(shipment, orderShippedReceived.has(order_id));
    if (!event) return;
    const { type, data } = event;
    await events.publish(type, { id: `${order_id}:${type}`, subject: order_id, time: updated_at, data });
  }

  /** @throws ProblemError 409 if the shipment is to be stopped and the parcel has left */
  async function applyTrigger(
    orderId: string,
    trigger: ShipmentTrigger,
    reason?: string,
  ): Promise<Shipment | undefined> {
    return inSpan('update shipment', { 'shipment.trigger': trigger }, async () => {
      const { shipment, publish } = await createOrChange(orderId, trigger, reason);
      if (publish && shipment) await publishStatus(shipment);
      return shipment;
    });
  }

  /** Advances a shipment that is due. Returns the time until its next step, in milliseconds; undefined if it has ended. */
  async function tick(orderId: string): Promise<number | undefined> {
    addRequestFields({ order_id: orderId });
    const shipment = await applyTrigger(orderId, 'tick');
    return shipment && isOpen(shipment.status) ? delayMsOf(shipment) : undefined;
  }

  return { applyTrigger, tick };
}
