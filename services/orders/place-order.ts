import { createHash } from 'node:crypto';
import { Counter, type Registry } from 'prom-client';
import { productsSchema, type Product } from '../inventory/contract.ts';
import { CLOCKS_APART_SECONDS } from '../shared/clocks.ts';
import { KEPT_SECONDS, keyReused, nextOperation } from '../shared/idempotency.ts';
import type { Logger } from '../shared/log.ts';
import { Overload } from '../shared/problem.ts';
import { aboutOrder } from '../shared/service.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { ConflictError } from '../shared/sidecar-call.ts';
import { parseAnswer } from '../shared/validate.ts';
import type { Order, PaymentMethod } from './contract.ts';
import type { Intake } from './intake.ts';
import { append, replay, type OrderCreated } from './order.ts';
import type { OrderJob } from './order-job.ts';
import type { OrderDocument, OrderStore } from './order-store.ts';
import { price, type Wish } from './pricing.ts';
import type { Say } from './say.ts';

export interface OrderRequest {
  customerId: string;
  wish: Wish;
  payment: PaymentMethod;
  /** The id of the order; the same for a request that is repeated within a day. */
  orderId: string;
  mayBeRepeated: boolean;
}

export interface Placed {
  /** As it was accepted. */
  order: Order;
  /** The same request was answered before. */
  isRepeated: boolean;
}

/** The id that a key stands for, and the order that has it already. */
interface Use {
  orderId: string;
  document?: OrderDocument | undefined;
}

/** Takes an order, or gives the one that the same request made before. @throws Problem 422 where another one made it */
export type PlaceOrder = (request: OrderRequest) => Promise<Placed>;

export function orderPlacer(deps: {
  store: OrderStore;
  sidecar: Sidecar;
  say: Say;
  job: Pick<OrderJob, 'set'>;
  intake: Pick<Intake, 'accepted' | 'withdrawn' | 'refusal'>;
  log: Logger;
  metrics: Registry;
  recheckMs: number;
  now: () => Date;
}): PlaceOrder {
  const { store, sidecar, say, job, intake, log, recheckMs, now } = deps;
  const refused = new Counter({
    name: 'orders_refused_total',
    help: 'New orders refused because those before them wait too long',
    registers: [deps.metrics],
  });

  return async (request) => {
    const requestHash = hash(request);
    const { orderId, document }: Use = request.mayBeRepeated ? await currentUse(request.orderId) : request;
    aboutOrder(orderId);
    // Before anything else: prices may have changed since.
    if (document) return answerAgain(document, requestHash);
    const at = demandRoom();
    return take({ ...request, orderId }, requestHash).catch((error: unknown) => {
      intake.withdrawn(at);
      throw error;
    });
  };

  async function take(request: OrderRequest, requestHash: string): Promise<Placed> {
    const { orderId, wish } = request;
    const made = newDocument(requestHash, request, price(wish, await fetchProducts(wish)));
    // From here on the order cannot be forgotten: the job looks after it until it is final.
    const isWatched = await job.set(orderId, recheckMs).then(
      () => true,
      (err: unknown) => {
        log.warn({ err }, 'the job of an order is not set yet');
        return false;
      },
    );
    const document = { ...made, ...(isWatched ? {} : { unwatched: true as const }) };
    try {
      await store.create(document);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const first = await store.load(orderId);
      if (first) return answerAgain(first.value, requestHash);
      throw error;
    }
    await sayCreated(document);
    return { order: replay(orderId, document.events), isRepeated: false };
  }

  /**
   * The order is accepted even while the broker is out of reach: its job will say it. And even while the scheduler is: what
   * the broker has goes on, and ends when it can be watched. Without both it is not.
   */
  async function sayCreated(document: OrderDocument): Promise<void> {
    await say(document, 1).catch((err: unknown) => {
      if (document.unwatched) throw err;
      log.warn({ err }, 'order.created not said yet');
    });
  }

  /** Gives the time at which the order is accepted: what is under way counts, too. */
  function demandRoom(): number {
    const at = performance.now();
    const seconds = intake.refusal(at);
    if (seconds !== undefined) {
      refused.inc();
      throw new Overload('Too many orders are waiting. Retry-After says when to try again.', seconds);
    }
    intake.accepted(at);
    return at;
  }

  /**
   * The order that a key stands for now, and its id; no order where it is a new key, or one that is new again after a day. Its
   * ids follow from one another: services/decisions/0020-idempotency-keys.md.
   */
  async function currentUse(orderId: string): Promise<Use> {
    const document = (await store.load(orderId))?.value;
    const age = document ? (now().getTime() - createdAt(document)) / 1000 : 0;
    if (!document || age < KEPT_SECONDS - CLOCKS_APART_SECONDS) return { orderId, document };
    const next = await currentUse(nextOperation(orderId));
    // Where another replica, whose clock is ahead, has begun the next day's order, the key stands for that.
    return next.document || age >= KEPT_SECONDS ? next : { orderId, document };
  }

  async function answerAgain(document: OrderDocument, requestHash: string): Promise<Placed> {
    if (document.request_hash !== requestHash) throw keyReused();
    // Perhaps nobody came to say it, and no job will.
    if (document.unwatched) await say(document, 1);
    return { order: replay(document.order_id, document.events.slice(0, 1)), isRepeated: true };
  }

  async function fetchProducts(wish: Wish): Promise<Product[]> {
    const ids = [...new Set(wish.lines.map((line) => line.product_id))].join(',');
    const response = await sidecar.invoke('inventory', { method: 'GET', path: `/products?ids=${ids}` });
    return parseAnswer(productsSchema, response).items;
  }

  function newDocument(
    requestHash: string,
    { orderId, customerId, payment }: OrderRequest,
    priced: Omit<OrderCreated, 'customer_id'>,
  ): OrderDocument {
    const created = { type: 'order.created' as const, data: { customer_id: customerId, ...priced } };
    const events = append([], [created], now().toISOString());
    return { order_id: orderId, events, payment, request_hash: requestHash };
  }
}

const createdAt = ({ events: [created] }: OrderDocument) => Date.parse(created?.time ?? '');

/** Of what the schemas have parsed: members stand in the schema's order, however they were written. */
function hash({ customerId, wish, payment }: OrderRequest): string {
  return createHash('sha256').update(JSON.stringify({ customerId, wish, payment })).digest('base64url');
}
