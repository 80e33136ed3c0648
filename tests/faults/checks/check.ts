import pLimit from 'p-limit';
import type { Order, OrderEventType } from '../../../services/orders/contract.ts';
import type { Journal } from '../journal.ts';
import type { People } from '../people.ts';
import type { Shelf } from '../shelf.ts';

/** An order as its own stream tells it. */
export interface Told {
  order: Order;
  events: OrderEventType[];
  /** When each of them happened. Milliseconds. */
  times: number[];
}

/** What checks look at: what callers were told, and ways to ask the system by its public doors. */
export interface Scene {
  people: People;
  journal: Journal;
  shelf: Shelf;
  /** The ids of the dead letters that were there before. */
  lettersBefore: ReadonlySet<string>;
  /** The mail catcher. */
  mails: string;
  /** Every accepted order, by the check that comes first. */
  orders: Map<string, Told>;
}

export interface Outcome {
  /** How many things were looked at. */
  verified: number;
  violations: string[];
}

/** The orders whose refund was answered with 200. */
export function refundedOrders({ journal }: Scene): Set<string> {
  return new Set(journal.refunds.filter(({ answered }) => answered === 200).map(({ order_id }) => order_id));
}

/** One promise, and how it is checked. It may be asked again until it holds: some of it comes true in the end only. */
export interface Check {
  name: string;
  promise: string;
  verify: (scene: Scene) => Promise<Outcome>;
}

/** Asks about many things, a few at a time; what is wrong with one is a text. */
export async function each<T>(
  things: Iterable<T>,
  verify: (thing: T) => Promise<string | undefined>,
): Promise<Outcome> {
  const limited = pLimit(16);
  const all = [...things];
  const found = await Promise.all(all.map((thing) => limited(() => verify(thing))));
  return { verified: all.length, violations: found.filter((one) => one !== undefined) };
}

/** All items of a list, page after page. */
export async function allOf<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}
