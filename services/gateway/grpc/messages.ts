import type { Order, OrderStatus } from '../../orders/contract.ts';
import type { Timestamp__Output } from './generated/google/protobuf/Timestamp.ts';
import type { Order__Output } from './generated/sidecart/v1/Order.ts';
import type { OrderStatus__Output } from './generated/sidecart/v1/OrderStatus.ts';

/** JSON leaves out an absent field, so none is `undefined`. The generated types require that. */
type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

export function orderMessage(order: Order): Order__Output {
  return {
    ...(order as Present<Order>),
    status: statusName(order.status),
    created_at: timestampOf(order.created_at),
    updated_at: timestampOf(order.updated_at),
  };
}

export const statusName = (status: OrderStatus): OrderStatus__Output => `ORDER_STATUS_${status}`;

function timestampOf(time: string): Timestamp__Output {
  const ms = Date.parse(time);
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}
