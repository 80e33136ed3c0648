// Original file: services/gateway/grpc/order_service.proto

import type { Long } from '@grpc/proto-loader';

export interface OrderLine {
  'product_id'?: (string);
  'name'?: (string);
  'quantity'?: (number);
  'unit_price'?: (number | string | Long);
}

export interface OrderLine__Output {
  'product_id': (string);
  'name': (string);
  'quantity': (number);
  'unit_price': (number);
}
