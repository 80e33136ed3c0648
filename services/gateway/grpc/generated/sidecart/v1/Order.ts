// Original file: services/gateway/grpc/order_service.proto

import type { OrderStatus as _sidecart_v1_OrderStatus, OrderStatus__Output as _sidecart_v1_OrderStatus__Output } from '../../sidecart/v1/OrderStatus.ts';
import type { OrderLine as _sidecart_v1_OrderLine, OrderLine__Output as _sidecart_v1_OrderLine__Output } from '../../sidecart/v1/OrderLine.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

export interface Order {
  'order_id'?: (string);
  'customer_id'?: (string);
  'status'?: (_sidecart_v1_OrderStatus);
  'items'?: (_sidecart_v1_OrderLine)[];
  'total'?: (number | string | Long);
  'currency'?: (string);
  'reason'?: (string);
  'tracking_number'?: (string);
  'version'?: (number);
  'created_at'?: (_google_protobuf_Timestamp | null);
  'updated_at'?: (_google_protobuf_Timestamp | null);
  'refunded'?: (number | string | Long);
  '_reason'?: "reason";
  '_tracking_number'?: "tracking_number";
  '_refunded'?: "refunded";
}

export interface Order__Output {
  'order_id': (string);
  'customer_id': (string);
  'status': (_sidecart_v1_OrderStatus__Output);
  'items': (_sidecart_v1_OrderLine__Output)[];
  'total': (number);
  'currency': (string);
  'reason'?: (string);
  'tracking_number'?: (string);
  'version': (number);
  'created_at': (_google_protobuf_Timestamp__Output | null);
  'updated_at': (_google_protobuf_Timestamp__Output | null);
  'refunded'?: (number);
}
