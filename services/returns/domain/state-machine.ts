/** The statuses of a return. */
export const RETURN_STATUSES = [
  'REQUESTED',
  'APPROVED',
  'RECEIVED',
  'REFUNDED',
  'REJECTED',
  'CANCELLED',
  'EXPIRED',
] as const;
export type ReturnStatus = (typeof RETURN_STATUSES)[number];

interface Transition {
  /** The statuses in which the trigger applies. In every other status it is refused. */
  from: readonly ReturnStatus[];
  to: ReturnStatus;
}

/**
 * The state machine of returns. The shop approves, rejects and receives. The customer or the shop cancels. The workflow expires
 * and completes, and approves small amounts.
 */
export const TRANSITIONS = {
  approve: { from: ['REQUESTED'], to: 'APPROVED' },
  reject: { from: ['REQUESTED'], to: 'REJECTED' },
  cancel: { from: ['REQUESTED', 'APPROVED'], to: 'CANCELLED' },
  receive: { from: ['APPROVED'], to: 'RECEIVED' },
  expire: { from: ['APPROVED'], to: 'EXPIRED' },
  complete: { from: ['RECEIVED'], to: 'REFUNDED' },
} as const satisfies Record<string, Transition>;
export type ReturnTrigger = keyof typeof TRANSITIONS;

/** The status after a trigger; undefined if the trigger does not apply. */
export function statusAfter(status: ReturnStatus, trigger: ReturnTrigger): ReturnStatus | undefined {
  const { from, to }: Transition = TRANSITIONS[trigger];
  return from.includes(status) ? to : undefined;
}

/** Whether no trigger applies any more. */
export function isFinal(status: ReturnStatus): boolean {
  return Object.values<Transition>(TRANSITIONS).every(({ from }) => !from.includes(status));
}

/** Whether the lines of the return no longer count: the customer keeps them. */
export function isVoid(status: ReturnStatus): boolean {
  return isFinal(status) && status !== 'REFUNDED';
}

/** The event that is published when a return reaches a status. */
export type ReturnEventType = `return.${Lowercase<ReturnStatus>}`;
export const eventOf = (status: ReturnStatus) => `return.${status.toLowerCase()}` as ReturnEventType;
