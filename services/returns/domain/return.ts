import { onePerProduct, type Line } from '../../shared/util/lines.ts';
import type { ReceivedLine, Return, ReturnLine } from '../contract.ts';
import { isFinal, isVoid, statusAfter, type ReturnStatus, type ReturnTrigger } from './state-machine.ts';

/** A status that a return has reached, and the trace of the request that led to it. */
export interface Milestone {
  status: ReturnStatus;
  at: string;
  traceparent?: string | undefined;
}

/** The stored return. The workflow follows this document: it can start again at any status. */
export interface ReturnDocument extends Omit<Return, 'version' | 'updated_at' | 'status'> {
  /** Every status so far. The last one is the current one. */
  milestones: Milestone[];
  /** The number of milestones whose events are published. */
  published: number;
  /** The payment's answer: what was given back for this return, and for the order in total. */
  refund?: { amount: number; order_refunded: number };
}

/** The returns of an order. Its ETag decides between two returns that race for the same lines. */
export interface OrderReturns {
  order_id: string;
  return_ids: string[];
}

export const currentOf = ({ milestones }: ReturnDocument): Milestone => {
  const last = milestones.at(-1);
  if (!last) throw new Error('a return has a first milestone');
  return last;
};

export const statusOf = (document: ReturnDocument): ReturnStatus => currentOf(document).status;

/**
 * The return as its customer sees it. `at` is the number of milestones to show, by default all. An event that is published again, or
 * late, has nothing of a later milestone.
 */
export function toReturn(document: ReturnDocument, at = document.milestones.length): Return {
  const { milestones, published: _, refund: __, ...all } = document;
  const { label, expires_at, refunded, received, ...shown } = all;
  const reached = new Set(milestones.slice(0, at).map(({ status }) => status));
  const last = milestones[at - 1] ?? currentOf(document);
  return {
    ...shown,
    status: last.status,
    received: reached.has('RECEIVED') ? received : [],
    ...(reached.has('APPROVED') && label !== undefined ? { label } : {}),
    ...(reached.has('APPROVED') && expires_at !== undefined ? { expires_at } : {}),
    ...(reached.has('REFUNDED') && refunded !== undefined ? { refunded } : {}),
    version: at,
    updated_at: last.at,
  };
}

/** How many of each product can still be returned: bought, minus the lines of other returns that count. */
export function quantitiesLeft(
  bought: readonly Line[],
  returns: readonly ReturnDocument[],
): ReadonlyMap<string, number> {
  const left = new Map(onePerProduct(bought).map(({ product_id, quantity }) => [product_id, quantity]));
  for (const document of returns)
    for (const { product_id, quantity } of countedLines(document))
      left.set(product_id, (left.get(product_id) ?? 0) - quantity);
  return left;
}

/** After the parcel has arrived, only the lines in it count. */
function countedLines(document: ReturnDocument): readonly Line[] {
  const status = statusOf(document);
  if (isVoid(status)) return [];
  return status === 'RECEIVED' || status === 'REFUNDED' ? document.received : document.items;
}

/** A requested line that is not possible: its position, the field, and what is possible. */
export interface LineProblem {
  position: number;
  product_id: string;
  /** The quantity that is possible; 0 if the product is not in the list. */
  possible: number;
}

/** The lines that exceed what is possible. Lines of one product count together. */
export function excessLines(wanted: readonly Line[], possible: ReadonlyMap<string, number>): LineProblem[] {
  const remaining = new Map(possible);
  return wanted.flatMap(({ product_id, quantity }, position) => {
    const left = remaining.get(product_id) ?? 0;
    remaining.set(product_id, left - quantity);
    return quantity > left ? [{ position, product_id, possible: Math.max(0, left) }] : [];
  });
}

export const priceOf = (
  lines: readonly Line[],
  items: readonly Pick<ReturnLine, 'product_id' | 'unit_price'>[],
): number =>
  lines.reduce((sum, { product_id, quantity }) => {
    const unitPrice = items.find((item) => item.product_id === product_id)?.unit_price ?? 0;
    return sum + quantity * unitPrice;
  }, 0);

/** The lines whose stock comes back. */
export const sellableLines = ({ received }: ReturnDocument): Line[] =>
  received.filter(({ sellable }) => sellable).map(({ product_id, quantity }) => ({ product_id, quantity }));

/** What a trigger changes besides the status. */
export type Change = Partial<Pick<ReturnDocument, 'expires_at' | 'refunded' | 'refund'>> & {
  label?: string;
  received?: ReceivedLine[];
};

/** The return after a trigger; undefined if the trigger does not apply in its status. */
export function applyTrigger(
  document: ReturnDocument,
  trigger: ReturnTrigger,
  milestone: Omit<Milestone, 'status'>,
  change: Change = {},
): ReturnDocument | undefined {
  const status = statusAfter(statusOf(document), trigger);
  if (!status) return undefined;
  return { ...document, ...change, milestones: [...document.milestones, { status, ...milestone }] };
}

/**
 * For how long the workflow has had something to do, in milliseconds; 0 if a person or the parcel has the next step. A status with a
 * time in the future comes from a clock that was ahead, and does not wait for that time.
 */
export function overdueMs(document: ReturnDocument, now: Date): number {
  const { status, at } = currentOf(document);
  if (document.published < document.milestones.length || status === 'RECEIVED')
    return Math.abs(now.getTime() - Date.parse(at));
  const { expires_at } = document;
  if (status !== 'APPROVED' || expires_at === undefined) return 0;
  return Math.max(0, now.getTime() - Date.parse(expires_at));
}

/** Whether the workflow has nothing to do any more. */
export const isSettled = (document: ReturnDocument): boolean =>
  isFinal(statusOf(document)) && document.published >= document.milestones.length;
