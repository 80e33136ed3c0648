import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiResponse, Client } from '../../services/gateway/client/client.ts';
import { createPrng, zipf, type Prng } from './prng.ts';
import {
  recordAccepted,
  countFirstTry,
  type Journal,
  type RefundRequest,
  type RestockRequest,
  type ReturnRequest,
  type OrderRequest,
} from './journal.ts';
import { isInUse, type Users } from './users.ts';
import { UNIT_PRICE, type TestProducts } from './test-products.ts';

/** The actions of customers and the administrator, with their weights. */
const ACTION_WEIGHTS = {
  order: 66,
  'order again': 7,
  cancel: 7,
  refund: 3,
  return: 4,
  read: 12,
  list: 3,
  restock: 3,
  price: 2,
};
export type Action = keyof typeof ACTION_WEIGHTS;

/** Cards by weight. Most payments succeed, and others show every misbehaviour of a provider. */
const CARD_WEIGHTS = {
  tok_visa: 82,
  tok_chargeDeclined: 4,
  tok_flaky: 3,
  tok_slow: 1,
  tok_timeout: 2,
  tok_twice: 3,
  tok_late: 2,
  tok_yes_after_no: 3,
};
/** Cards that delay an order because of the provider. */
export const SLOW_CARDS = new Set(['tok_flaky', 'tok_slow', 'tok_timeout', 'tok_late']);

/** How a product is chosen: the hot one, another one by Zipf's law, or any. */
const PRODUCT_WEIGHTS = { hot: 25, zipf: 45, any: 30 };

/** What happens to a return. Without a last step, it expires. */
const RETURN_STEPS: ReturnRequest['steps'][] = [
  ['approve', 'receive'],
  ['approve', 'receive'],
  ['approve', 'receive'],
  ['approve', 'cancel'],
  ['cancel'],
  ['reject'],
  ['approve'],
];

/** The tries of a request before `settle` takes over. */
const MAX_TRIES = 4;

type JournaledRequest = OrderRequest | RestockRequest | RefundRequest | ReturnRequest;

export interface Load {
  /** Stops the load. Resolves when every request has ended. */
  stop: () => Promise<void>;
  /** Repeats all unsettled requests until the deadline. Resolves to those that are still unsettled. */
  settle: (deadlineMs: number) => Promise<string[]>;
}

export interface LoadOptions {
  users: Users;
  journal: Journal;
  products: TestProducts;
  seed: string;
  /** The number of concurrent actions of a customer. */
  concurrency?: number | undefined;
  /** The longest pause of a customer between two requests. */
  thinkTimeMs: number;
  /** Weights that differ from ACTION_WEIGHTS. */
  actions?: Partial<Record<Action, number>> | undefined;
}

/** Every customer runs `concurrency` sequences of random actions until the load stops. */
export function startLoad({
  users,
  journal,
  products,
  seed,
  concurrency = 1,
  thinkTimeMs,
  actions,
}: LoadOptions): Load {
  const stopped = new AbortController();
  setMaxListeners(0, stopped.signal);
  const isRunning = () => !stopped.signal.aborted;
  const weights = { ...ACTION_WEIGHTS, ...actions };
  const { hot, others } = products;
  const nextRank = zipf(others.length);
  const unsettled = new Set<JournaledRequest>();
  async function runCustomer(customer: number, prng: Prng): Promise<void> {
    for (;;) {
      await pause(prng.between(0, thinkTimeMs));
      if (!isRunning()) return;
      const action = prng.weighted<Action>(weights);
      await HANDLERS[action](customer, prng).catch((error: unknown) => {
        recordViolation('orders', `${action}: the response does not match its schema: ${String(error)}`);
      });
    }
  }

  /** Waits, but not after the load has stopped. */
  const pause = (ms: number) => delay(ms, undefined, { signal: stopped.signal }).catch(() => {});

  const HANDLERS: Record<Action, (customer: number, prng: Prng) => Promise<void>> = {
    async order(customer, prng) {
      const request = createOrderRequest(customer, prng);
      journal.requestedOrders.push(request);
      await sendUntilSettled('order', request, () => placeOrder(users, journal, request));
    },

    async 'order again'(customer, prng) {
      const candidates = journal.requestedOrders
        .filter((request) => request.customer === customer && request.response)
        .slice(-50);
      if (candidates.length > 0) await repeatOrder(users, journal, prng.pick(candidates));
    },

    async cancel(customer, prng) {
      const { call } = callerOf(customer);
      const candidates = [...journal.accepted.values()]
        .slice(-200)
        .filter((request) => request.customer === customer);
      const request = candidates.at(-prng.between(1, 3));
      if (!request) return;
      const id = request.response.order_id;
      const response = await responseOf(() =>
        call('POST /api/orders/:id/cancel', {
          params: { id },
          // With a key, the gateway may retry the request.
          headers: { 'idempotency-key': `cancel-${id}` },
        }),
      );
      countFirstTry(journal, 'cancel', response?.ok === true || response?.status === 409, response);
      if (response?.ok) journal.cancelled.add(id);
    },

    async read(customer, prng) {
      const candidates = [...journal.accepted.values()]
        .slice(-300)
        .filter((request) => request.customer === customer);
      if (candidates.length === 0) return;
      const id = prng.pick(candidates).response.order_id;
      const minVersion = journal.highestVersions.get(id) ?? 0;
      const response = await responseOf(() =>
        callerOf(customer).call('GET /api/orders/:id', { params: { id } }),
      );
      countFirstTry(journal, 'read', response?.ok === true, response);
      if (!response?.ok) {
        if (response?.status === 404)
          recordViolation('orders', `order ${id} was accepted and does not exist`);
        return;
      }
      const { version } = response.body;
      if (version < minVersion)
        recordViolation('orders', `order ${id} returned from version ${minVersion} to ${version}`);
      journal.highestVersions.set(id, Math.max(version, journal.highestVersions.get(id) ?? 0));
    },

    async list(customer) {
      const response = await responseOf(() =>
        callerOf(customer).call('GET /api/inventory', { query: { limit: 100 } }),
      );
      countFirstTry(journal, 'list', response?.ok === true, response);
      if (!response?.ok) return;
      for (const { product_id, reserved, on_hand } of response.body.items)
        if (reserved < 0 || reserved > on_hand)
          recordViolation('stock', `${product_id}: ${reserved} reserved of ${on_hand} on hand`);
    },

    async restock(customer, prng) {
      const restock: RestockRequest = {
        key: `restock-${hot}-${customer}-${journal.restocks.length}-${prng.between(0, 1e9)}`,
        product_id: prng.happens(0.3) ? hot : prng.pick(others),
        quantity: prng.between(10, 60),
        done: false,
      };
      journal.restocks.push(restock);
      await sendUntilSettled('restock', restock, () => sendRestock(users.admin, restock));
    },

    async refund(customer, prng) {
      const candidates = [...journal.accepted.values()]
        .slice(-500)
        .filter((request) => request.customer === customer);
      // Older orders are delivered, newer ones are not.
      const request = candidates.at(-prng.between(1, 20));
      if (!request) return;
      const { order_id } = request.response;
      const refund: RefundRequest = { key: `refund-${order_id}-${journal.refunds.length}`, order_id };
      journal.refunds.push(refund);
      await sendUntilSettled('refund', refund, () => sendRefund(users.admin, refund));
    },

    async return(customer, prng) {
      const candidates = [...journal.accepted.values()]
        .slice(-500)
        .filter((request) => request.customer === customer);
      const request = candidates.at(-prng.between(1, 20));
      const line = request?.body && 'items' in request.body ? request.body.items[0] : undefined;
      if (!request || !line) return;
      const { order_id } = request.response;
      const returned: ReturnRequest = {
        customer,
        key: `return-${order_id}-${journal.returns.length}`,
        order_id,
        items: [{ product_id: line.product_id, quantity: prng.between(1, line.quantity) }],
        steps: prng.pick(RETURN_STEPS).slice(),
        condition: prng.happens(0.7) ? 'sellable' : 'damaged',
      };
      journal.returns.push(returned);
      await sendUntilSettled('return', returned, () => advanceReturn(users, returned));
    },

    async price(_customer, prng) {
      const product_id = prng.pick(others);
      const body = { name: `Product ${product_id}`, unit_price: UNIT_PRICE + prng.between(-200, 200) };
      const response = await responseOf(() =>
        users.admin('PUT /api/inventory/:product_id', { params: { product_id }, body }),
      );
      countFirstTry(journal, 'price', response?.ok === true, response);
    },
  };

  function createOrderRequest(customer: number, prng: Prng): OrderRequest {
    const lines = Number(prng.weighted({ 1: 70, 2: 20, 3: 10 }));
    const items = Array.from({ length: lines }, () => ({
      product_id: productFor(prng),
      quantity: prng.between(1, 3),
    }));
    const card_token = prng.weighted(CARD_WEIGHTS);
    const key = `order-${customer}-${journal.requestedOrders.length}-${prng.between(0, 1e9)}`;
    return { customer, key, body: { items, payment: { method: 'card', card_token } } };
  }

  function productFor(prng: Prng): string {
    const kind = prng.weighted(PRODUCT_WEIGHTS);
    if (kind === 'hot') return hot;
    return kind === 'zipf' ? (others[nextRank(prng)] ?? hot) : prng.pick(others);
  }

  function callerOf(customer: number) {
    const caller = users.customers[customer];
    if (!caller) throw new Error(`there is no customer ${customer}`);
    return caller;
  }

  const recordViolation = (check: string, description: string) =>
    void journal.violations.push({ check, description });

  /** Sends a request up to MAX_TRIES times. A request without a final response stays unsettled. */
  async function sendUntilSettled(
    action: string,
    request: JournaledRequest,
    send: () => Promise<ApiResponse<unknown> | undefined>,
  ): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES && isRunning(); tries++) {
      const response = await send();
      // A return is settled after its last step.
      if (tries === 0) countFirstTry(journal, action, response?.ok || isSettled(request), response);
      if (isSettled(request)) return;
      const retryAfter = response?.headers['retry-after'];
      await pause(retryAfter === undefined ? 300 * (tries + 1) : 1000 * Number(retryAfter));
    }
    if (!isSettled(request)) unsettled.add(request);
  }

  function resend(request: JournaledRequest): Promise<ApiResponse<unknown> | undefined> {
    if ('steps' in request) return advanceReturn(users, request);
    if ('product_id' in request) return sendRestock(users.admin, request);
    return 'order_id' in request ? sendRefund(users.admin, request) : placeOrder(users, journal, request);
  }

  const running = Promise.all(
    users.customers.flatMap((_, customer) =>
      Array.from({ length: concurrency }, (__, worker) =>
        runCustomer(customer, createPrng(seed).of(`customer ${customer}, ${worker}`)),
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
      const responses = new Map<string, string>();
      while (unsettled.size > 0 && performance.now() < deadline) {
        await Promise.all(
          [...unsettled].slice(0, 20).map(async (request) => {
            const response = await resend(request);
            responses.set(request.key, JSON.stringify(response?.body ?? 'no response'));
            if (isSettled(request)) unsettled.delete(request);
          }),
        );
        if (unsettled.size > 0) await delay(200);
      }
      return [...unsettled].map(({ key }) => `${key} got ${responses.get(key) ?? 'no response'}`);
    },
  };
}

function isSettled(request: JournaledRequest): boolean {
  if ('steps' in request)
    return request.return_id === null || (!!request.return_id && request.steps.length === 0);
  if ('product_id' in request) return request.done;
  return ('order_id' in request ? request.status : request.response) !== undefined;
}

/** The response, or undefined if none came. */
async function responseOf<Body>(
  request: () => Promise<ApiResponse<Body>>,
): Promise<ApiResponse<Body> | undefined> {
  return request().catch(() => undefined);
}

/** Sends an order with its key, and records the response if it is final. */
export async function placeOrder(users: Users, journal: Journal, request: OrderRequest) {
  const response = await sendOrder(users, request);
  if (response?.ok) {
    const { order_id, total } = response.body;
    const accepted = { status: response.status, order_id, total };
    request.response = accepted;
    recordAccepted(journal, request, accepted);
  } else if (response && [400, 409, 422].includes(response.status) && !isInUse(response.body))
    request.response = { status: response.status };
  return response;
}

/** Repeats an order with a final response, which has to be the same again. */
export async function repeatOrder(users: Users, journal: Journal, request: OrderRequest): Promise<boolean> {
  const response = await sendOrder(users, request);
  const first = request.response;
  // A rejected order may succeed later. An accepted one stays accepted.
  if (first?.status !== 201) return true;
  countFirstTry(journal, 'order again', response?.ok === true, response);
  if (!response?.ok) return false;
  const { order_id, total } = response.body;
  if (order_id !== first.order_id || total !== first.total)
    journal.violations.push({
      check: 'keys',
      description: `key ${request.key} returned order ${first.order_id} (${first.total}), then with ${order_id} (${total})`,
    });
  recordAccepted(journal, request, { status: response.status, order_id, total });
  return true;
}

/** Sends an order as its customer, with its key. */
async function sendOrder({ customers }: Users, { customer, key, body }: OrderRequest) {
  const call = customers[customer]?.call;
  return call && responseOf(() => call('POST /api/orders', { body, headers: { 'idempotency-key': key } }));
}

async function sendRestock(admin: Client, restock: RestockRequest) {
  const { key, product_id, quantity } = restock;
  const response = await responseOf(() =>
    admin('POST /api/inventory/:product_id/restock', {
      params: { product_id },
      body: { quantity },
      headers: { 'idempotency-key': key },
    }),
  );
  if (response?.ok) restock.done = true;
  return response;
}

/** Sends a refund. A 409 because the order was not shipped, and a 404 without a payment, are final responses, too. */
async function sendRefund(admin: Client, refund: RefundRequest) {
  const { key, order_id } = refund;
  const response = await responseOf(() =>
    admin('POST /api/payments/:order_id/refund', {
      params: { order_id },
      headers: { 'idempotency-key': key },
    }),
  );
  if (response?.ok) refund.status = 200;
  else if (response && (response.status === 404 || (response.status === 409 && !isInUse(response.body))))
    refund.status = 409;
  return response;
}

/** Requests a return, and takes its steps. A 409 is a final response, too: the return has gone another way. */
async function advanceReturn({ customers, admin }: Users, request: ReturnRequest) {
  const { customer, order_id, key, items, condition } = request;
  const caller = customers[customer]?.call;
  if (!caller) return undefined;
  if (request.return_id === undefined) {
    const response = await responseOf(() =>
      caller('POST /api/orders/:id/returns', {
        params: { id: order_id },
        body: { items, reason: 'it does not fit' },
        headers: { 'idempotency-key': key },
      }),
    );
    if (response?.ok) request.return_id = response.body.return_id;
    else if (response && [404, 409, 422].includes(response.status) && !isInUse(response.body))
      request.return_id = null;
    return response;
  }
  const [step] = request.steps;
  if (!step || request.return_id === null) return undefined;
  const params = { id: request.return_id };
  const response = await responseOf(async () => {
    if (step === 'cancel') return caller('POST /api/returns/:id/cancel', { params });
    if (step === 'receive') return admin('POST /api/returns/:id/receive', { params, body: { condition } });
    return admin(`POST /api/returns/:id/${step}`, { params });
  });
  if (response && (response.ok || response.status === 409)) request.steps.shift();
  return response;
}
