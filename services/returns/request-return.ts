import pLimit from 'p-limit';
import type { Order } from '../orders/contract.ts';
import { retryOnConflict } from '../shared/dapr/state-store.ts';
import { ProblemError, type FieldError } from '../shared/http/problem.ts';
import { onePerProduct, type Line } from '../shared/util/lines.ts';
import { outgoingHeaders } from '../shared/telemetry/request-context.ts';
import type { ReturnLine } from './contract.ts';
import {
  excessLines,
  priceOf,
  quantitiesLeft,
  type LineProblem,
  type ReturnDocument,
} from './domain/return.ts';
import type { ReturnStore } from './store/return-store.ts';

const DAY_MS = 24 * 3_600_000;

/**
 * Saves a new return. A repeated request with the same id gives the same return.
 *
 * @throws ProblemError 409 if the order is not delivered, its window is over or a quantity is too high; 422 for an unknown line
 */
export type RequestReturn = (
  order: Order,
  wanted: { returnId: string; items: readonly Line[]; reason: string },
) => Promise<ReturnDocument>;

export function createRequestReturn(deps: {
  store: ReturnStore;
  windowDays: number;
  now: () => Date;
}): RequestReturn {
  const { store, windowDays, now } = deps;
  // All new returns are added to one list. In turn, those of one replica do not conflict there.
  const inTurn = pLimit(1);
  const saved: RequestReturn = (order, wanted) =>
    retryOnConflict(async () => {
      const listed = await store.ofOrder(order.order_id);
      const { return_ids: ids = [] } = listed?.value ?? {};
      const others = await store.loadMany(ids);
      const known = others.find(({ return_id }) => return_id === wanted.returnId);
      if (known) return known;
      assertReturnable(order, windowDays, now());
      assertBought(order, wanted.items);
      const excess = excessLines(wanted.items, quantitiesLeft(order.items, others));
      // guard: return at most what was bought
      if (excess.length > 0) throw quantityTooHigh(excess);
      const document = newReturn(order, wanted, now());
      await store.add(document, listed);
      return document;
    });
  return (order, wanted) => inTurn(() => saved(order, wanted));
}

function assertReturnable({ status, delivered_at, updated_at }: Order, windowDays: number, at: Date): void {
  if (status !== 'DELIVERED')
    throw new ProblemError(
      409,
      'order-not-delivered',
      'Only the lines of a delivered order can be returned.',
    );
  const endsAt = Date.parse(delivered_at ?? updated_at) + windowDays * DAY_MS;
  if (at.getTime() > endsAt)
    throw new ProblemError(
      409,
      'return-window-over',
      `The order could be returned until ${new Date(endsAt).toISOString()}.`,
    );
}

function assertBought({ items }: Order, wanted: readonly Line[]): void {
  const bought = new Set(items.map(({ product_id }) => product_id));
  const errors = wanted.flatMap(({ product_id }, position): FieldError[] =>
    bought.has(product_id)
      ? []
      : [{ field: `items.${position}.product_id`, message: `${product_id} is no line of the order` }],
  );
  if (errors.length > 0)
    throw new ProblemError(422, 'unknown-line', 'The order does not have every line. See `errors`.', {
      errors,
    });
}

export function quantityTooHigh(excess: readonly LineProblem[]): ProblemError {
  const errors = excess.map(({ position, product_id, possible }) => ({
    field: `items.${position}.quantity`,
    message: `must be at most ${possible}, which is left of ${product_id}`,
  }));
  return new ProblemError(409, 'quantity-too-high', 'A quantity exceeds what is left. See `errors`.', {
    errors,
  });
}

function newReturn(
  order: Order,
  { returnId, items: wanted, reason }: Parameters<RequestReturn>[1],
  at: Date,
): ReturnDocument {
  const { order_id, customer_id, currency } = order;
  const items = onePerProduct(wanted).map(({ product_id, quantity }): ReturnLine => {
    const line = order.items.find((one) => one.product_id === product_id);
    return { product_id, name: line?.name ?? '', quantity, unit_price: line?.unit_price ?? 0 };
  });
  const created_at = at.toISOString();
  const { traceparent } = outgoingHeaders();
  return {
    return_id: returnId,
    order_id,
    customer_id,
    items,
    total: priceOf(items, items),
    currency,
    reason,
    received: [],
    created_at,
    milestones: [{ status: 'REQUESTED', at: created_at, traceparent }],
    published: 0,
  };
}
