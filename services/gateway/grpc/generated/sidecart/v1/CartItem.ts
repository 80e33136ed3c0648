// Original file: services/gateway/grpc/order_service.proto

import type { Long } from '@grpc/proto-loader';

export interface CartItem {
  'product_id'?: (string);
  'quantity'?: (number);
  'unit_price'?: (number | string | Long);
  '_unit_price'?: "unit_price";
}

export interface CartItem__Output {
  'product_id': (string);
  'quantity': (number);
  'unit_price'?: (number);
}
