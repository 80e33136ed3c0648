import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { createHash } from 'node:crypto';
import { productsSchema, type Product } from '../inventory/contract.ts';
import { CLOCKS_APART_SECONDS } from '../shared/util/time.ts';
import { IDEMPOTENCY_TTL_SECONDS, idempotencyKeyReused, nextOperation } from '../shared/http/idempotency.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { OverloadedError } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import type { WorkList } from '../shared/dapr/work-list.ts';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import { parseResponse } from '../shared/http/validation.ts';
import type { Order, PaymentMethod } from './contract.ts';
import type { AdmissionControl } from './domain/admission-control.ts';
import { append, replay, type OrderCreated } from './domain/order.ts';
import { priceOrder, type OrderDraft } from './domain/pricing.ts';
import { METRICS } from './metrics.ts';
import type { PublishOrderEvent } from './order-event-publisher.ts';
import type { OrderDocument, OrderStore } from './store/order-store.ts';

export interface PlaceOrderRequest {
  /** Derived from the caller and the `Idempotency-Key`, so that a repeated request names the same order for a day. */
  orderId: string;
  hasIdempotencyKey: boolean;
  customerId: string;
  draft: OrderDraft;
  payment: PaymentMethod;
}

export interface PlaceOrderResult {
  /** The order as it was accepted. */
  order: Order;
  /** The order existed already: this is a repeated request. */
  replayed: boolean;
}

/** @throws ProblemError 422 if the idempotency key was used for a different request */
export type PlaceOrder = (request: PlaceOrderRequest) => Promise<PlaceOrderResult>;

/** The order id of an idempotency key, and the order if it exists. */
interface KeyUse {
  orderId: string;
  document?: OrderDocument | undefined;
}

export function createPlaceOrder(deps: {
  store: OrderStore;
  sidecar: Sidecar;
  publishEvent: PublishOrderEvent;
  watched: Pick<WorkList, 'add'>;
  admission: Pick<AdmissionControl, 'onAccepted' | 'onAborted' | 'retryAfterSeconds'>;
  log: Logger;
  metrics: Metrics;
  watchdogIntervalMs: number;
  now: () => Date;
}): PlaceOrder {
  const { store, sidecar, publishEvent, watched, admission, log, watchdogIntervalMs, now } = deps;
  const createdOrders = createCounter(deps.metrics, METRICS.created);
  const admitted = createCounter(deps.metrics, METRICS.admission);

  return async (request) => {
    try {
      const result = await inSpan('place order', {}, () => placeOrder(request));
      if (!result.replayed) createdOrders.inc({ status: 'success' });
      return result;
    } catch (error) {
      createdOrders.inc({ status: 'failed' });
      throw error;
    }
  };

  async function placeOrder(request: PlaceOrderRequest): Promise<PlaceOrderResult> {
    const requestHash = hashOf(request);
    const { orderId, document }: KeyUse = request.hasIdempotencyKey
      ? await findExistingOrder(request.orderId)
      : request;
    addRequestFields({ order_id: orderId });
    // First of all: a repeated request gets the original answer, even if prices have changed or the service is overloaded.
    if (document) return repeatedResult(document, requestHash);
    return admit(() => acceptOrder({ ...request, orderId }, requestHash));
  }

  async function acceptOrder(request: PlaceOrderRequest, requestHash: string): Promise<PlaceOrderResult> {
    const { orderId, draft } = request;
    const priced = priceOrder(draft, await fetchProducts(draft));
    const document = newDocument(requestHash, request, priced);
    try {
      // In one transaction, so that a crash cannot leave an order that nothing watches.
      await store.save(document, undefined, watched.add(orderId, watchdogIntervalMs));
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // Another replica handled the same idempotency key at the same time.
      const existing = await store.load(orderId);
      if (existing) return repeatedResult(existing.value, requestHash);
      throw error;
    }
    await publishEvent(document, 1).catch((err: unknown) =>
      log.warn({ err }, 'publishing order.created failed; the watchdog will retry'),
    );
    return { order: replay(orderId, document.events), replayed: false };
  }

  /**
   * Counts the order while it is accepted, and takes the count back if that fails.
   *
   * @throws OverloadedError if the order would wait too long
   */
  async function admit<Result>(work: () => Promise<Result>): Promise<Result> {
    const at = performance.now();
    const seconds = admission.retryAfterSeconds(at);
    if (seconds !== undefined) {
      admitted.inc({ result: 'shed' });
      throw new OverloadedError(
        'Too many orders are waiting. Try again after the time in Retry-After.',
        seconds,
      );
    }
    admitted.inc({ result: 'accepted' });
    admission.onAccepted(at);
    try {
      return await work();
    } catch (error) {
      admission.onAborted(at);
      throw error;
    }
  }

  /**
   * Finds the order of an idempotency key. A key is new again after a day; its order ids follow from one another:
   * services/decisions/0020-idempotency-keys.md.
   */
  async function findExistingOrder(orderId: string): Promise<KeyUse> {
    const document = (await store.load(orderId))?.value;
    const ageSeconds = document ? (now().getTime() - createdAt(document)) / 1000 : 0;
    if (!document || ageSeconds < IDEMPOTENCY_TTL_SECONDS - CLOCKS_APART_SECONDS)
      return { orderId, document };
    const next = await findExistingOrder(nextOperation(orderId));
    // If a replica with a faster clock has begun the next day's order, the key belongs to that one.
    return next.document || ageSeconds >= IDEMPOTENCY_TTL_SECONDS ? next : { orderId, document };
  }

  function repeatedResult(document: OrderDocument, requestHash: string): PlaceOrderResult {
    if (document.request_hash !== requestHash) throw idempotencyKeyReused();
    return { order: replay(document.order_id, document.events.slice(0, 1)), replayed: true };
  }

  async function fetchProducts(draft: OrderDraft): Promise<Product[]> {
    const ids = [...new Set(draft.lines.map((line) => line.product_id))].join(',');
    const response = await sidecar.invoke('inventory', { method: 'GET', path: `/products?ids=${ids}` });
    return parseResponse(productsSchema, response).items;
  }

  function newDocument(
    requestHash: string,
    { orderId, customerId, payment }: PlaceOrderRequest,
    priced: Omit<OrderCreated, 'customer_id'>,
  ): OrderDocument {
    const created = { type: 'order.created' as const, data: { customer_id: customerId, ...priced } };
    const events = append([], [created], now().toISOString());
    return { order_id: orderId, events, payment, request_hash: requestHash };
  }
}

const createdAt = ({ events: [created] }: OrderDocument) => Date.parse(created?.time ?? '');

/** Schemas put members into their own order. So the hash does not depend on the order in which a client wrote them. */
function hashOf({ customerId, draft, payment }: PlaceOrderRequest): string {
  // Stored hashes contain the name `wish`.
  return createHash('sha256')
    .update(JSON.stringify({ customerId, wish: draft, payment }))
    .digest('base64url');
}
