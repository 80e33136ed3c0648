import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { currency, freeText, id, inDigits, money, productId, timestamp } from '../shared/schemas/types.ts';
import {
  CUSTOMER_EVENT_TYPES,
  ORDER_EVENT_TYPES,
  ORDER_STATUSES,
  type CustomerEventType,
  type OrderEventType,
  type OrderStatus,
} from './domain/state-machine.ts';

export { FINAL_STATUSES, PAID_STATUSES, REFUNDABLE_STATUSES } from './domain/statuses.ts';

export const orderStatus = z.enum(ORDER_STATUSES);
export type { OrderStatus };

export const orderLineSchema = z.object({
  product_id: productId,
  name: z.string(),
  quantity: z.int().min(1),
  unit_price: money,
});
export type OrderLine = z.infer<typeof orderLineSchema>;

export const orderSchema = z.object({
  order_id: id,
  customer_id: id,
  status: orderStatus,
  items: z.array(orderLineSchema),
  total: money,
  currency,
  /** Why the order ended, if it was not delivered. */
  reason: z.string().optional(),
  tracking_number: z.string().optional(),
  /** The total that was given back after the order was shipped, in minor units. */
  refunded: money.optional(),
  /** The lines of each return that was refunded. */
  returned: z
    .array(
      z.object({
        return_id: id,
        items: z.array(z.object({ product_id: productId, quantity: z.int().min(1) })),
      }),
    )
    .optional(),
  /** The time of the delivery. */
  delivered_at: timestamp.optional(),
  /** Grows by one with each event. */
  version: z.int().min(1),
  created_at: timestamp,
  updated_at: timestamp,
});
export type Order = z.infer<typeof orderSchema>;

export const orderListSchema = z.object({ items: z.array(orderSchema), next_cursor: z.string().nullable() });

/**
 * The data of every published order event: the order after the event. A subscriber needs no other message to act on it. If
 * events arrive out of order, `version` tells which is newer.
 */
export const orderEventData = z.object({ order: orderSchema });

const dataOfEvents = Object.fromEntries(ORDER_EVENT_TYPES.map((type) => [type, orderEventData]));

/** The events that `orders` publishes: every event of every order's stream. */
export const orderEvents = defineEvents(
  'orders',
  dataOfEvents as Record<OrderEventType, typeof orderEventData>,
);
export const orderEventType = z.enum(orderEvents.types);
export { CUSTOMER_EVENT_TYPES };
export type { CustomerEventType, OrderEventType };

/** One event in the answer of `GET /api/orders/:id/events`. */
export const orderEventSchema = z.object({
  id: z.string(),
  type: orderEventType,
  version: z.int().min(1),
  time: timestamp,
  data: z.record(z.string(), z.unknown()),
});

export const orderEventListSchema = z.object({ items: z.array(orderEventSchema) });

/**
 * `GET /orders/:id/changes`, for the gateway's live updates only: the order after each of its events that is later than version
 * `after`. `ended`: no trigger changes the order's status any more.
 */
export const orderChangesQuery = z.object({ after: inDigits(z.int().min(0)).prefault(0) });
export const orderChangeSchema = z.object({ type: orderEventType, order: orderSchema });
export type OrderChange = z.infer<typeof orderChangeSchema>;
export const orderChangesSchema = z.object({ items: z.array(orderChangeSchema), ended: z.boolean() });

/**
 * `GET /orders`, for `history` and `payments` only: orders, replayed from their streams. With `ids`, those orders that exist, in
 * the order of the ids. Without, all orders in pages: first the watched ones, then the finished ones, oldest first. The list may have
 * an order twice.
 */
export const ordersQuery = z.object({
  ids: z
    .string()
    .transform((ids) => [...new Set(ids.split(','))])
    .pipe(z.array(id).max(100))
    .optional(),
  cursor: z
    .union([id, z.string().regex(/^\d{1,15}$/)], { error: 'must be a next_cursor of this list' })
    .optional(),
  limit: inDigits(z.int().min(1).max(100)).prefault(100),
});

/**
 * `orders.changed`, on the broadcast component: the newest versions of some orders. Every gateway receives it, and reads the
 * orders that its clients watch. If a broadcast is lost, the order's next event or its watchdog supersedes it.
 */
export const ordersChangedData = z.object({
  changed: z.array(z.object({ order_id: id, version: z.int().min(1) })),
});

/** The events on the broadcast component, which reaches every replica. */
export const orderBroadcasts = defineEvents('orders', { 'orders.changed': ordersChangedData }, 'broadcast');

/**
 * The token identifies a card at the payment provider. `orders` keeps it until the payment is decided, and gives it to `payments`
 * alone: by `GET /orders/:id/payment-method`, never in an event. The number of a card (ISO/IEC 7812: 12 to 19 digits) is no
 * token.
 */
export const paymentMethodSchema = z.strictObject({
  method: z.literal('card'),
  card_token: z
    .string()
    .regex(/^(?!(?:[_-]*[0-9]){12,19}[_-]*$)[A-Za-z0-9_-]{1,64}$/, 'must be a card token, not a card number'),
});
export type PaymentMethod = z.infer<typeof paymentMethodSchema>;

const quantity = z.int().min(1).max(10_000);

/** `POST /api/orders`, a cart of lines. `unit_price` and `currency` are optional, and must be the shop's (409). */
export const cartBody = z.strictObject({
  items: z
    .array(z.strictObject({ product_id: productId, quantity, unit_price: money.optional() }))
    .min(1)
    .max(50),
  payment: paymentMethodSchema,
  currency: currency.optional(),
  customer_id: id.optional(),
});

/** `POST /api/orders`, one line. `amount` is optional, and must be the order's total (409). */
export const oneLineBody = z.strictObject({
  product_id: productId,
  quantity,
  amount: money.optional(),
  customer_id: id.optional(),
  currency: currency.optional(),
  payment: paymentMethodSchema.optional(),
});

/** `PUT /api/orders/:id/status` */
export const putStatusBody = z.strictObject({ status: orderStatus });

/** `POST /api/orders/:id/cancel`. The body is optional. */
export const cancelBody = z.strictObject({ reason: freeText(200).optional() });

/** The reason of a cancelled order after the customer's account was deleted. */
export const ERASED_REASON = 'the reason was erased';

/** The answer to `POST /api/orders`. */
export const orderAcceptedSchema = z.object({
  order_id: id,
  status: z.literal('PENDING'),
  message: z.string(),
  total: money,
  currency,
});
