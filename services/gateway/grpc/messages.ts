import type { Order, OrderLine, OrderStatus } from '../../orders/contract.ts';

/** The messages of order_service.proto in the form of `protocol.ts`. */

export interface CreateOrderRequest {
  items: { product_id: string; quantity: number; unit_price?: number }[];
  payment: { method: string; card_token: string } | null;
  currency?: string;
  customer_id?: string;
}

export interface CreateOrderResponse {
  order_id: string;
  status: OrderStatusName;
  message: string;
  total: number;
  currency: string;
}

export interface GetOrderRequest {
  order_id: string;
}

export interface CancelOrderRequest {
  order_id: string;
  reason?: string;
}

export interface WatchOrderRequest {
  order_id: string;
  after_version: number;
}

export interface OrderEventMessage {
  type: string;
  order: OrderMessage;
}

export interface OrderMessage extends Omit<Order, 'status' | 'created_at' | 'updated_at'> {
  status: OrderStatusName;
  items: OrderLine[];
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type OrderStatusName = `ORDER_STATUS_${OrderStatus}`;

/** `google.protobuf.Timestamp`. */
export interface Timestamp {
  seconds: number;
  nanos: number;
}

export function orderMessage(order: Order): OrderMessage {
  return {
    ...order,
    status: statusName(order.status),
    created_at: timestampOf(order.created_at),
    updated_at: timestampOf(order.updated_at),
  };
}

export const statusName = (status: OrderStatus): OrderStatusName => `ORDER_STATUS_${status}`;

function timestampOf(time: string): Timestamp {
  const ms = Date.parse(time);
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}
