import type { z } from 'zod';
import type { cartBody } from '../../services/orders/contract.ts';

/** An order that a customer asks for; sent again with the same key until it has its answer. */
export interface Wanted {
  customer: number;
  key: string;
  body: z.input<typeof cartBody>;
  /** What it was answered: an order (201), or that there will be none (4xx). Not there yet: nobody knows. */
  answer?: { status: number; order_id?: string; total?: number };
}

export interface Accepted extends Wanted {
  /** When its customer was told. Milliseconds. */
  at: number;
  answer: { status: number; order_id: string; total: number };
}

export interface Restock {
  key: string;
  product_id: string;
  quantity: number;
  done: boolean;
}

/** A refund that the shop asks for, of an order that was placed some time ago. */
export interface Refund {
  key: string;
  order_id: string;
  /** The status of the answer: 200, or 409 for an order that was not shipped. Not there yet: nobody knows. */
  answered?: 200 | 409;
}

/** Something that a promise forbids. */
export interface Violation {
  /** The promise, as the report names it. */
  check: string;
  what: string;
}

/** What the callers of a run asked for and were told: what the system is held to. */
export interface Journal {
  wanted: Wanted[];
  /** Accepted orders, by their id. */
  accepted: Map<string, Accepted>;
  /** Orders whose cancellation was answered with 200. */
  cancelled: Set<string>;
  restocks: Restock[];
  refunds: Refund[];
  /** Asked for by who did not wait until there was an answer. */
  givenUp: Wanted[];
  /** The highest version of an order that anybody was shown. */
  seen: Map<string, number>;
  /** First tries, by what they asked for: how many, and how many were not answered as they should. */
  tries: Map<string, { sent: number; failed: number }>;
  /** What the failed ones were answered: a status, or nothing. */
  failures: Map<string, number>;
  /** What went wrong while the load ran. */
  violations: Violation[];
}

export function newJournal(): Journal {
  return {
    wanted: [],
    accepted: new Map(),
    cancelled: new Set(),
    restocks: [],
    refunds: [],
    givenUp: [],
    seen: new Map(),
    tries: new Map(),
    failures: new Map(),
    violations: [],
  };
}

/** Notes that a customer was told of an order, once. */
export function accept(journal: Journal, wanted: Wanted, answer: Accepted['answer']): void {
  if (!journal.accepted.has(answer.order_id))
    journal.accepted.set(answer.order_id, { ...wanted, answer, at: Date.now() });
}

/** Counts a first try; `answer` as it came, if one came. */
export function count(
  { tries, failures }: Journal,
  what: string,
  succeeded: boolean,
  answer: { status: number } | undefined,
): void {
  const counted = tries.get(what) ?? { sent: 0, failed: 0 };
  tries.set(what, { sent: counted.sent + 1, failed: counted.failed + (succeeded ? 0 : 1) });
  if (succeeded) return;
  const failure = `${what}: ${answer?.status ?? 'no answer'}`;
  failures.set(failure, (failures.get(failure) ?? 0) + 1);
}
