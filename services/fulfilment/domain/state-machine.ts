export type ShipmentStatus = 'PREPARING' | 'DISPATCHED' | 'DELIVERED' | 'STOPPED';

/** What can change a shipment. `tick` is a sweep that finds it due. */
export type ShipmentTrigger = 'order.paid' | 'order.shipped' | 'stop' | 'tick';

/** What follows from a trigger, in this order. The next sweep completes what a crash leaves undone. */
export interface Decision {
  /** The status to save. Without one, the status stays. */
  to?: ShipmentStatus;
  /** Publish the event of the status, also if it was published before. */
  publish: boolean;
}

interface Transition extends Decision {
  /** The statuses in which the transition applies. NONE: there is no shipment yet. */
  from: readonly (ShipmentStatus | 'NONE')[];
  /** It applies only if the time that the status takes has passed. */
  isDue?: true;
}

const DISPATCH: Transition = { from: ['PREPARING'], to: 'DISPATCHED', publish: true };
const DELIVER: Transition = { from: ['DISPATCHED'], isDue: true, to: 'DELIVERED', publish: true };
const WAIT: Transition = { from: ['PREPARING', 'DISPATCHED'], publish: true };

/** The state machine of shipments. Of a trigger's transitions the first that applies counts; if none does, it is rejected. */
export const TRANSITIONS: Readonly<Record<ShipmentTrigger, readonly Transition[]>> = {
  // A redelivered event also advances the shipment: the scheduler may be unavailable.
  'order.paid': [
    { from: ['NONE'], to: 'PREPARING', publish: false },
    { ...DISPATCH, isDue: true },
    DELIVER,
    WAIT,
    { from: ['DELIVERED', 'STOPPED'], publish: true },
  ],
  'order.shipped': [
    DELIVER,
    { from: ['DISPATCHED'], publish: false },
    { from: ['DELIVERED'], publish: true },
    // The parcel has not left, or was even stopped: an administrator has marked the order as shipped.
    { from: ['NONE', 'PREPARING', 'STOPPED'], to: 'DISPATCHED', publish: true },
  ],
  stop: [
    // Also without a shipment: an order.paid that comes later must not ship.
    { from: ['NONE', 'PREPARING'], to: 'STOPPED', publish: true },
    { from: ['STOPPED'], publish: true },
  ],
  tick: [DISPATCH, DELIVER, WAIT, { from: ['NONE', 'DELIVERED', 'STOPPED'], publish: true }],
};

/** Whether the shipment has not ended. */
export function isOpen(status: ShipmentStatus | undefined): boolean {
  return status === 'PREPARING' || status === 'DISPATCHED';
}

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
  const { to, publish } = transition;
  return { ...(to && { to }), publish };
}
