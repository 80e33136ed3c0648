import type { Order } from '../../orders/contract.ts';
import { decodeCursor, encodeCursor } from '../../shared/util/cursor.ts';
import { isOpen } from './open-orders.ts';

/** The position of an order in the list: the time of its last event (milliseconds since the epoch), then its id. */
interface Position {
  lastEvent: number;
  orderId: string;
}

const positionOf = ({ order_id, updated_at }: Order): Position => ({
  lastEvent: Date.parse(updated_at),
  orderId: order_id,
});

const compare = (a: Position, b: Position) =>
  a.lastEvent - b.lastEvent || (a.orderId < b.orderId ? -1 : Number(a.orderId > b.orderId));

/**
 * Whether an open order has been idle for longer than `idleMs`. An order whose last event lies equally far in the future is
 * included, because a wrong clock hides how long it is idle.
 */
export function isStuck(order: Order, idleMs: number, now: Date): boolean {
  return isOpen(order) && Math.abs(now.getTime() - Date.parse(order.updated_at)) > idleMs;
}

/**
 * A page of stuck orders, the longest idle first.
 *
 * @param idleMs a stuck order has been idle for longer than this
 * @throws InvalidCursorError
 */
export function pageOfStuckOrders(
  orders: readonly Order[],
  idleMs: number,
  now: Date,
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): { items: Order[]; nextCursor: string | null } {
  const after = cursor === undefined ? undefined : decode(cursor);
  const left = orders
    .filter((order) => isStuck(order, idleMs, now))
    .filter((order) => !after || compare(positionOf(order), after) > 0)
    .toSorted((a, b) => compare(positionOf(a), positionOf(b)));
  const items = left.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: last && left.length > limit ? encode(positionOf(last)) : null };
}

const POSITION = /^(\d{1,13}):([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** A cursor has at most 64 characters, so the id has no hyphens. */
const encode = ({ lastEvent, orderId }: Position) =>
  encodeCursor(`${lastEvent}:${orderId.replaceAll('-', '')}`);

function decode(cursor: string): Position {
  const [time, ...id] = decodeCursor(cursor, POSITION);
  return { lastEvent: Number(time), orderId: id.join('-') };
}
