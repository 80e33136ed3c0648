import pLimit from 'p-limit';
import type { Order, OrderEventType } from '../../../services/orders/contract.ts';
import type { Return } from '../../../services/returns/contract.ts';
import type { Journal } from '../journal.ts';
import type { Users } from '../users.ts';
import type { TestProducts } from '../test-products.ts';

/** An order, as its own stream has it. */
export interface OrderHistory {
  order: Order;
  events: OrderEventType[];
  /** The time of each event, in milliseconds. */
  times: number[];
}

/** The input of checks: the responses that callers got, and clients of the public API. */
export interface CheckContext {
  users: Users;
  journal: Journal;
  products: TestProducts;
  /** The ids of the dead letters from before the experiment. */
  knownDeadLetters: ReadonlySet<string>;
  /** The URL of the mail catcher. */
  mails: string;
  /** Every accepted order. The check of orders fills it. */
  orders: Map<string, OrderHistory>;
  /** The returns of each order that has some. The first check fills it. */
  returns: Map<string, Return[]>;
}

export interface CheckOutcome {
  /** The number of checked items. */
  verified: number;
  violations: string[];
}

/** The orders with a successful refund request. */
export function refundedOrders({ journal }: CheckContext): Set<string> {
  return new Set(journal.refunds.filter(({ status }) => status === 200).map(({ order_id }) => order_id));
}

/** A promise and its check. It is repeated until it holds, because some promises are only eventually true. */
export interface Check {
  name: string;
  promise: string;
  verify: (context: CheckContext) => Promise<CheckOutcome>;
}

/** Checks many items, a few at a time. A violation is a text. */
export async function checkEach<T>(
  items: Iterable<T>,
  verify: (item: T) => Promise<string | undefined>,
): Promise<CheckOutcome> {
  const limited = pLimit(16);
  const all = [...items];
  const results = await Promise.all(all.map((item) => limited(() => verify(item))));
  return { verified: all.length, violations: results.filter((violation) => violation !== undefined) };
}

/** Reads all pages of a list. */
export async function listAll<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const response = await page(cursor);
    items.push(...response.items);
    cursor = response.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}
