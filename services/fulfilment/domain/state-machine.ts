export type ShipmentStatus = 'PREPARING' | 'DISPATCHED' | 'DELIVERED' | 'STOPPED';

/** What can change a shipment. `tick` is its Dapr job. */
export type ShipmentTrigger = 'order.paid' | 'order.shipped' | 'stop' | 'tick';

/** What follows from a trigger, in this order. The next tick completes what a crash leaves undone. */
export interface Decision {
  /** The status to save. Without one, the status stays. */
  to?: ShipmentStatus;
  /** Publish the event of the status, also if it was published before. */
  publish: boolean;
  /** The job that ticks until the shipment has ended. */
  job: 'schedule' | 'cancel' | 'keep';
}

interface Transition extends Decision {
  /** The statuses in which the transition applies. NONE: there is no shipment yet. */
  from: readonly (ShipmentStatus | 'NONE')[];
  /** It applies only if the time that the status takes has passed. */
  isDue?: true;
}

const DISPATCH: Transition = { from: ['PREPARING'], to: 'DISPATCHED', publish: true, job: 'schedule' };
const DELIVER: Transition = {
  from: ['DISPATCHED'],
  isDue: true,
  to: 'DELIVERED',
  publish: true,
  job: 'cancel',
};
const WAIT: Transition = { from: ['PREPARING', 'DISPATCHED'], publish: true, job: 'schedule' };

/** The state machine of shipments. Of a trigger's transitions the first that applies counts; if none does, it is rejected. */
export const TRANSITIONS: Readonly<Record<ShipmentTrigger, readonly Transition[]>> = {
  // A redelivered event also advances the shipment: the scheduler may be unavailable, or have lost the job.
  'order.paid': [
    { from: ['NONE'], to: 'PREPARING', publish: false, job: 'schedule' },
    { ...DISPATCH, isDue: true },
    DELIVER,
    WAIT,
    { from: ['DELIVERED', 'STOPPED'], publish: true, job: 'keep' },
  ],
  'order.shipped': [
    DELIVER,
    { from: ['DISPATCHED'], publish: false, job: 'keep' },
    { from: ['DELIVERED'], publish: true, job: 'keep' },
    // The parcel has not left, or was even stopped: an administrator has marked the order as shipped.
    { from: ['NONE', 'PREPARING', 'STOPPED'], to: 'DISPATCHED', publish: true, job: 'schedule' },
  ],
  stop: [
    // Also without a shipment: an order.paid that comes later must not ship.
    { from: ['NONE', 'PREPARING'], to: 'STOPPED', publish: true, job: 'cancel' },
    { from: ['STOPPED'], publish: true, job: 'cancel' },
  ],
  tick: [DISPATCH, DELIVER, WAIT, { from: ['NONE', 'DELIVERED', 'STOPPED'], publish: true, job: 'cancel' }],
};

/**
 * Decides what a trigger does to a shipment. A trigger that is delivered twice leads to the same status.
 *
 * @param isDue whether the time that the status takes has passed
 * @returns undefined if it is too late to stop the shipment
 */
export function decide(
  status: ShipmentStatus | undefined,
  trigger: ShipmentTrigger,
  isDue: boolean,
): Decision | undefined {
  const transition = TRANSITIONS[trigger].find(
    (one) => one.from.includes(status ?? 'NONE') && (isDue || !one.isDue),
  );
  if (!transition) return undefined;
  const { to, publish, job } = transition;
  return { ...(to && { to }), publish, job };
}
