// Original file: services/gateway/grpc/order_service.proto

import type { Order as _sidecart_v1_Order, Order__Output as _sidecart_v1_Order__Output } from '../../sidecart/v1/Order.ts';

export interface OrderEvent {
  'type'?: (string);
  'order'?: (_sidecart_v1_Order | null);
}

export interface OrderEvent__Output {
  'type': (string);
  'order': (_sidecart_v1_Order__Output | null);
}
