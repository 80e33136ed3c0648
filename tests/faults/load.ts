import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiResponse, Client } from '../../services/gateway/client/client.ts';
import { chance, zipf, type Chance } from './chance.ts';
import { accept, count, type Journal, type Refund, type Restock, type Wanted } from './journal.ts';
import type { People } from './people.ts';
import { UNIT_PRICE, type Shelf } from './shelf.ts';

/** What customers and the shop do, by how often. */
const ACTIONS = {
  order: 66,
  'order again': 7,
  cancel: 7,
  refund: 3,
  read: 12,
  list: 3,
  restock: 3,
  price: 2,
};
export type Action = keyof typeof ACTIONS;

/** How payments go: most well, and in every way in which a provider can misbehave. */
const CARDS = {
  tok_visa: 82,
  tok_chargeDeclined: 4,
  tok_flaky: 3,
  tok_slow: 1,
  tok_timeout: 2,
  tok_twice: 3,
  tok_late: 2,
  tok_yes_after_no: 3,
};
/** Cards with which an order is not done at once, whatever the system does. */
export const SLOW_CARDS = new Set(['tok_flaky', 'tok_slow', 'tok_timeout', 'tok_late']);

/** Of an order's lines: on the product that everybody wants, on one of few that many want, on any. */
const SPREAD = { hot: 25, zipf: 45, any: 30 };

/** So often a request is tried before its outcome is left open for later. */
const TRIES = 4;

export interface Load {
  /** Ends the load; resolves when every request has ended. */
  stop: () => Promise<void>;
  /** Asks again for all that has no answer yet, until it has one. Resolves to what is left at the deadline. */
  settle: (deadlineMs: number) => Promise<string[]>;
}

export interface LoadOptions {
  people: People;
  journal: Journal;
  shelf: Shelf;
  seed: string;
  /** How many things a customer does at a time; not given: one. */
  tabs?: number | undefined;
  /** Milliseconds that a customer rests between two requests, at most. */
  restMs: number;
  /** How often something is done, where not as often as usual. */
  actions?: Partial<Record<Action, number>> | undefined;
}

/** Every customer does one thing after the other in each tab, as chance has it, until the load is stopped. */
export function startLoad({ people, journal, shelf, seed, tabs = 1, restMs, actions }: LoadOptions): Load {
  const stopped = new AbortController();
  setMaxListeners(0, stopped.signal);
  const isGoing = () => !stopped.signal.aborted;
  const weights = { ...ACTIONS, ...actions };
  const { hot, others } = shelf;
  const byRank = zipf(others.length);
  const open = new Set<Wanted | Restock | Refund>();
  async function live(customer: number, source: Chance): Promise<void> {
    for (;;) {
      await rest(source.between(0, restMs));
      if (!isGoing()) return;
      const action = source.weighted<Action>(weights);
      await ACT[action](customer, source).catch((error: unknown) => {
        violated('orders', `${action}: the answer was not as its schema has it: ${String(error)}`);
      });
    }
  }

  /** @param ms less where the load is stopped meanwhile */
  const rest = (ms: number) => delay(ms, undefined, { signal: stopped.signal }).catch(() => {});

  const ACT: Record<Action, (customer: number, source: Chance) => Promise<void>> = {
    async order(customer, source) {
      const wanted = wish(customer, source);
      journal.wanted.push(wanted);
      await ask('order', wanted, () => placeOrder(people, journal, wanted));
    },

    async 'order again'(customer, source) {
      const mine = journal.wanted
        .filter((wanted) => wanted.customer === customer && wanted.answer)
        .slice(-50);
      if (mine.length > 0) await orderAgain(people, journal, source.pick(mine));
    },

    async cancel(customer, source) {
      const { call } = callerOf(customer);
      const mine = [...journal.accepted.values()]
        .slice(-200)
        .filter((wanted) => wanted.customer === customer);
      const wanted = mine.at(-source.between(1, 3));
      if (!wanted) return;
      const id = wanted.answer.order_id;
      const answer = await attempt(() =>
        call('POST /api/orders/:id/cancel', {
          params: { id },
          // To do it twice is to do it once: the gateway may ask again.
          headers: { 'idempotency-key': `cancel-${id}` },
        }),
      );
      count(journal, 'cancel', answer?.ok === true || answer?.status === 409, answer);
      if (answer?.ok) journal.cancelled.add(id);
    },

    async read(customer, source) {
      const mine = [...journal.accepted.values()]
        .slice(-300)
        .filter((wanted) => wanted.customer === customer);
      if (mine.length === 0) return;
      const id = source.pick(mine).answer.order_id;
      const floor = journal.seen.get(id) ?? 0;
      const answer = await attempt(() => callerOf(customer).call('GET /api/orders/:id', { params: { id } }));
      count(journal, 'read', answer?.ok === true, answer);
      if (!answer?.ok) {
        if (answer?.status === 404) violated('orders', `order ${id} was accepted and is not there`);
        return;
      }
      const { version } = answer.body;
      if (version < floor) violated('orders', `order ${id} went back from version ${floor} to ${version}`);
      journal.seen.set(id, Math.max(version, journal.seen.get(id) ?? 0));
    },

    async list(customer) {
      const answer = await attempt(() =>
        callerOf(customer).call('GET /api/inventory', { query: { limit: 100 } }),
      );
      count(journal, 'list', answer?.ok === true, answer);
      if (!answer?.ok) return;
      for (const { product_id, reserved, on_hand } of answer.body.items)
        if (reserved < 0 || reserved > on_hand)
          violated('stock', `${product_id}: ${reserved} reserved of ${on_hand} on hand`);
    },

    async restock(customer, source) {
      const restock: Restock = {
        key: `restock-${hot}-${customer}-${journal.restocks.length}-${source.between(0, 1e9)}`,
        product_id: source.happens(0.3) ? hot : source.pick(others),
        quantity: source.between(10, 60),
        done: false,
      };
      journal.restocks.push(restock);
      await ask('restock', restock, () => refill(people.admin, restock));
    },

    async refund(customer, source) {
      const mine = [...journal.accepted.values()]
        .slice(-500)
        .filter((wanted) => wanted.customer === customer);
      // Old ones are delivered, new ones are not.
      const wanted = mine.at(-source.between(1, 20));
      if (!wanted) return;
      const { order_id } = wanted.answer;
      const refund: Refund = { key: `refund-${order_id}-${journal.refunds.length}`, order_id };
      journal.refunds.push(refund);
      await ask('refund', refund, () => giveBack(people.admin, refund));
    },

    async price(_customer, source) {
      const product_id = source.pick(others);
      const body = { name: `Product ${product_id}`, unit_price: UNIT_PRICE + source.between(-200, 200) };
      const answer = await attempt(() =>
        people.admin('PUT /api/inventory/:product_id', { params: { product_id }, body }),
      );
      count(journal, 'price', answer?.ok === true, answer);
    },
  };

  function wish(customer: number, source: Chance): Wanted {
    const lines = Number(source.weighted({ 1: 70, 2: 20, 3: 10 }));
    const items = Array.from({ length: lines }, () => ({
      product_id: productFor(source),
      quantity: source.between(1, 3),
    }));
    const card_token = source.weighted(CARDS);
    const key = `order-${customer}-${journal.wanted.length}-${source.between(0, 1e9)}`;
    return { customer, key, body: { items, payment: { method: 'card', card_token } } };
  }

  function productFor(source: Chance): string {
    const how = source.weighted(SPREAD);
    if (how === 'hot') return hot;
    return how === 'zipf' ? (others[byRank(source)] ?? hot) : source.pick(others);
  }

  function callerOf(customer: number) {
    const caller = people.customers[customer];
    if (!caller) throw new Error(`there is no customer ${customer}`);
    return caller;
  }

  const violated = (check: string, what: string) => void journal.violations.push({ check, what });

  /** Tries a few times; what then has no answer stays open. */
  async function ask(
    what: string,
    one: Wanted | Restock | Refund,
    request: () => Promise<ApiResponse<unknown> | undefined>,
  ): Promise<void> {
    for (let tries = 0; tries < TRIES && isGoing(); tries++) {
      const answer = await request();
      if (tries === 0) count(journal, what, isSettled(one), answer);
      if (isSettled(one)) return;
      const retryAfter = answer?.headers['retry-after'];
      await rest(retryAfter === undefined ? 300 * (tries + 1) : 1000 * Number(retryAfter));
    }
    if (!isSettled(one)) open.add(one);
  }

  function again(one: Wanted | Restock | Refund): Promise<ApiResponse<unknown> | undefined> {
    if ('product_id' in one) return refill(people.admin, one);
    return 'order_id' in one ? giveBack(people.admin, one) : placeOrder(people, journal, one);
  }

  const running = Promise.all(
    people.customers.flatMap((_, customer) =>
      Array.from({ length: tabs }, (__, tab) =>
        live(customer, chance(seed).of(`customer ${customer}, ${tab}`)),
      ),
    ),
  );

  return {
    async stop() {
      stopped.abort();
      await running;
    },
    async settle(deadlineMs) {
      const deadline = performance.now() + deadlineMs;
      const answers = new Map<string, string>();
      while (open.size > 0 && performance.now() < deadline) {
        await Promise.all(
          [...open].slice(0, 20).map(async (one) => {
            const answer = await again(one);
            answers.set(one.key, JSON.stringify(answer?.body ?? 'nothing'));
            if (isSettled(one)) open.delete(one);
          }),
        );
        if (open.size > 0) await delay(200);
      }
      return [...open].map(({ key }) => `${key} was answered with ${answers.get(key) ?? 'nothing'}`);
    },
  };
}

function isSettled(one: Wanted | Restock | Refund): boolean {
  if ('product_id' in one) return one.done;
  return ('order_id' in one ? one.answered : one.answer) !== undefined;
}

/** The answer, or undefined where none came. */
async function attempt<Body>(
  request: () => Promise<ApiResponse<Body>>,
): Promise<ApiResponse<Body> | undefined> {
  return request().catch(() => undefined);
}

/** Sends an order with its key; notes the answer where it is one that will not change. */
export async function placeOrder(people: People, journal: Journal, wanted: Wanted) {
  const answer = await sendOrder(people, wanted);
  if (answer?.ok) {
    const { order_id, total } = answer.body;
    const accepted = { status: answer.status, order_id, total };
    wanted.answer = accepted;
    accept(journal, wanted, accepted);
  } else if (answer && [400, 409, 422].includes(answer.status) && !answer.body.type.endsWith('in-use'))
    wanted.answer = { status: answer.status };
  return answer;
}

/** Sends an order that has its answer once more: it must get the same. */
export async function orderAgain(people: People, journal: Journal, wanted: Wanted): Promise<boolean> {
  const answer = await sendOrder(people, wanted);
  const first = wanted.answer;
  // A refusal may have become possible since; an order stays one.
  if (first?.status !== 201) return true;
  count(journal, 'order again', answer?.ok === true, answer);
  if (!answer?.ok) return false;
  const { order_id, total } = answer.body;
  if (order_id !== first.order_id || total !== first.total)
    journal.violations.push({
      check: 'keys',
      what: `key ${wanted.key} was answered with order ${first.order_id} (${first.total}), then with ${order_id} (${total})`,
    });
  accept(journal, wanted, { status: answer.status, order_id, total });
  return true;
}

/** Sends it as its customer, with its key. */
async function sendOrder({ customers }: People, { customer, key, body }: Wanted) {
  const call = customers[customer]?.call;
  return call && attempt(() => call('POST /api/orders', { body, headers: { 'idempotency-key': key } }));
}

async function refill(admin: Client, restock: Restock) {
  const { key, product_id, quantity } = restock;
  const answer = await attempt(() =>
    admin('POST /api/inventory/:product_id/restock', {
      params: { product_id },
      body: { quantity },
      headers: { 'idempotency-key': key },
    }),
  );
  if (answer?.ok) restock.done = true;
  return answer;
}

/** An order that was not shipped yet is not refunded: that is an answer, too. So is that there is no payment of it yet. */
async function giveBack(admin: Client, refund: Refund) {
  const { key, order_id } = refund;
  const answer = await attempt(() =>
    admin('POST /api/payments/:order_id/refund', {
      params: { order_id },
      headers: { 'idempotency-key': key },
    }),
  );
  if (answer?.ok) refund.answered = 200;
  else if (
    answer &&
    (answer.status === 404 || (answer.status === 409 && !answer.body.type.endsWith('in-use')))
  )
    refund.answered = 409;
  return answer;
}
