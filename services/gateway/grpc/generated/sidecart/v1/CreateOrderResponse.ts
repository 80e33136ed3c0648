// Original file: services/gateway/grpc/order_service.proto

import type { OrderStatus as _sidecart_v1_OrderStatus, OrderStatus__Output as _sidecart_v1_OrderStatus__Output } from '../../sidecart/v1/OrderStatus.ts';
import type { Long } from '@grpc/proto-loader';

export interface CreateOrderResponse {
  'order_id'?: (string);
  'status'?: (_sidecart_v1_OrderStatus);
  'message'?: (string);
  'total'?: (number | string | Long);
  'currency'?: (string);
}

export interface CreateOrderResponse__Output {
  'order_id': (string);
  'status': (_sidecart_v1_OrderStatus__Output);
  'message': (string);
  'total': (number);
  'currency': (string);
}
