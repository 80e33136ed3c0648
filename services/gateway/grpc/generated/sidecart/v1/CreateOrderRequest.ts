// Original file: services/gateway/grpc/order_service.proto

import type { CartItem as _sidecart_v1_CartItem, CartItem__Output as _sidecart_v1_CartItem__Output } from '../../sidecart/v1/CartItem.ts';
import type { PaymentMethod as _sidecart_v1_PaymentMethod, PaymentMethod__Output as _sidecart_v1_PaymentMethod__Output } from '../../sidecart/v1/PaymentMethod.ts';

export interface CreateOrderRequest {
  'items'?: (_sidecart_v1_CartItem)[];
  'payment'?: (_sidecart_v1_PaymentMethod | null);
  'currency'?: (string);
  'customer_id'?: (string);
  '_currency'?: "currency";
  '_customer_id'?: "customer_id";
}

export interface CreateOrderRequest__Output {
  'items': (_sidecart_v1_CartItem__Output)[];
  'payment': (_sidecart_v1_PaymentMethod__Output | null);
  'currency'?: (string);
  'customer_id'?: (string);
}
