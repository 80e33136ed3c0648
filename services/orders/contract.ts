import { z } from 'zod';
import { defineEvents } from '../shared/published-events.ts';
import { currency, freeText, id, inDigits, money, productId, timestamp } from '../shared/types.ts';

export const orderStatus = z.enum([
  'PENDING',
  'RESERVED',
  'PAID',
  'SHIPPED',
  'DELIVERED',
  'REJECTED',
  'PAYMENT_FAILED',
  'CANCELLED',
  'EXPIRED',
]);
export type OrderStatus = z.infer<typeof orderStatus>;

/** Nothing happens to an order any more that is in one of these. */
export const FINAL_STATUSES: ReadonlySet<OrderStatus> = new Set([
  'DELIVERED',
  'REJECTED',
  'PAYMENT_FAILED',
  'CANCELLED',
  'EXPIRED',
]);

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
  /** Why the order ended as it did, for REJECTED, PAYMENT_FAILED, CANCELLED and EXPIRED. */
  reason: z.string().optional(),
  tracking_number: z.string().optional(),
  /** What was given back of an order that had been shipped, in total. Minor units. */
  refunded: money.optional(),
  /** Grows by one with each event. */
  version: z.int().min(1),
  created_at: timestamp,
  updated_at: timestamp,
});
export type Order = z.infer<typeof orderSchema>;

export const orderListSchema = z.object({ items: z.array(orderSchema), next_cursor: z.string().nullable() });

/**
 * The data of every published order event: the order as it is after the event. A subscriber needs no other message to
 * act on it, and one that sees versions out of order can tell which is newer.
 */
export const orderEventData = z.object({ order: orderSchema });

/** What happens to an order: each event of its stream is published. */
export const orderEvents = defineEvents('orders', {
  'order.created': orderEventData,
  'payment.requested': orderEventData,
  'order.paid': orderEventData,
  'order.payment_failed': orderEventData,
  'order.rejected': orderEventData,
  'order.shipped': orderEventData,
  'order.delivered': orderEventData,
  'order.cancelled': orderEventData,
  'order.expired': orderEventData,
  'order.refunded': orderEventData,
});
export const orderEventType = z.enum(orderEvents.types);
export type OrderEventType = z.infer<typeof orderEventType>;

/** One event as `GET /api/orders/:id/events` shows it. */
export const orderEventSchema = z.object({
  id: z.string(),
  type: orderEventType,
  version: z.int().min(1),
  time: timestamp,
  data: z.record(z.string(), z.unknown()),
});

export const orderEventListSchema = z.object({ items: z.array(orderEventSchema) });

/**
 * `GET /orders/:id/changes`, for the gateway's live updates only: the order as it was after each of its events, those
 * after version `after`; and whether there will be no more.
 */
export const orderChangesQuery = z.object({ after: inDigits(z.int().min(0)).prefault(0) });
export const orderChangeSchema = z.object({ type: orderEventType, order: orderSchema });
export type OrderChange = z.infer<typeof orderChangeSchema>;
export const orderChangesSchema = z.object({ items: z.array(orderChangeSchema), ended: z.boolean() });

/**
 * `GET /orders`, for history and payments only: orders as their streams have them. Those of `ids`, in their order, without any that do not
 * exist; or else all that are final, oldest first, in pages. One that the page has twice is one that was listed twice.
 */
export const ordersQuery = z.object({
  ids: z
    .string()
    .transform((ids) => [...new Set(ids.split(','))])
    .pipe(z.array(id).max(100))
    .optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'must be a next_cursor of this list')
    .optional(),
  limit: inDigits(z.int().min(1).max(100)).prefault(100),
});

/**
 * `orders.changed`, on the broadcast component: these orders have come to these versions. Every gateway hears it, and reads
 * what its clients watch; one that misses it hears of the order again, at the latest when its job looks after it.
 */
export const ordersChangedData = z.object({
  changed: z.array(z.object({ order_id: id, version: z.int().min(1) })),
});

/** On the broadcast component, which reaches every replica. */
export const orderBroadcasts = defineEvents('orders', { 'orders.changed': ordersChangedData }, 'broadcast');

/**
 * The token stands for a card at the payment provider. Orders keeps it until the payment is decided, and gives it to payments
 * alone: by `GET /orders/:id/payment-method`, never in an event. What looks like the number of a card (ISO/IEC 7812: 12
 * to 19 digits) is no token.
 */
export const paymentMethodSchema = z.strictObject({
  method: z.literal('card'),
  card_token: z
    .string()
    .regex(
      /^(?!(?:[_-]*[0-9]){12,19}[_-]*$)[A-Za-z0-9_-]{1,64}$/,
      'must be a card token, never the number of a card',
    ),
});
export type PaymentMethod = z.infer<typeof paymentMethodSchema>;

const quantity = z.int().min(1).max(10_000);

/** `POST /api/orders`, a cart of lines. `unit_price` and `currency`, where given, must be the shop's (409). */
export const cartBody = z.strictObject({
  items: z
    .array(z.strictObject({ product_id: productId, quantity, unit_price: money.optional() }))
    .min(1)
    .max(50),
  payment: paymentMethodSchema,
  currency: currency.optional(),
  customer_id: id.optional(),
});

/** `POST /api/orders`, one line. `amount`, where given, must be the order's total (409). */
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

/** `POST /api/orders/:id/cancel`; the body may be left out. */
export const cancelBody = z.strictObject({ reason: freeText(200).optional() });

/** The reason of a cancelled order whose customer is gone: what was written there is erased. */
export const ERASED_REASON = 'the reason was erased';

/** The answer to `POST /api/orders`. */
export const orderAcceptedSchema = z.object({
  order_id: id,
  status: z.literal('PENDING'),
  message: z.string(),
  total: money,
  currency,
});
