import {
  EVENT_RULES,
  ORDER_STATUSES,
  REFUNDABLE,
  statusAfter,
  TRANSITIONS,
  UNPAID,
  type CommandTrigger,
  type OrderStatus,
  type Trigger,
  type TriggerType,
} from './state-machine.ts';

/** Whether nothing delivers the trigger again. */
export function comesOnce({ type }: Trigger): boolean {
  return ['caller', 'watchdog'].includes(TRANSITIONS[type].sentBy);
}

const canBeLeft = (status: OrderStatus) =>
  Object.values(TRANSITIONS).some(({ from, appends }) => from.includes(status) && statusAfter(appends));

/** The statuses of an order that can still be paid. */
export const UNPAID_STATUSES: ReadonlySet<OrderStatus> = new Set(UNPAID);

/** The statuses whose money an administrator can give back. */
export const REFUNDABLE_STATUSES: ReadonlySet<OrderStatus> = new Set(REFUNDABLE);

/** The statuses in which the shop has the order's money. */
export const PAID_STATUSES: ReadonlySet<OrderStatus> = new Set(['PAID', ...REFUNDABLE]);

/** The statuses that no trigger changes. */
export const FINAL_STATUSES: ReadonlySet<OrderStatus> = new Set(
  ORDER_STATUSES.filter((status) => !canBeLeft(status)),
);

/** The final statuses after which no service has anything to undo. */
export const COMPLETE_STATUSES: ReadonlySet<OrderStatus> = new Set(
  Object.values(EVENT_RULES).flatMap(({ status, compensates }) =>
    status && FINAL_STATUSES.has(status) && !compensates ? [status] : [],
  ),
);

/** The triggers after which other services undo something. */
export function compensationTriggers(): TriggerType[] {
  return (Object.keys(TRANSITIONS) as TriggerType[]).filter(
    (type) => EVENT_RULES[TRANSITIONS[type].appends].compensates,
  );
}

/** The command by which an administrator brings an order into a status. */
export const ADMIN_TRIGGERS: ReadonlyMap<OrderStatus | undefined, CommandTrigger['type']> = new Map(
  Object.entries(TRANSITIONS).flatMap(([type, { sentBy, appends }]) =>
    sentBy === 'caller' ? [[statusAfter(appends), type as CommandTrigger['type']] as const] : [],
  ),
);
