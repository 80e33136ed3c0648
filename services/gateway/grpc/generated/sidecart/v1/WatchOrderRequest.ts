// Original file: services/gateway/grpc/order_service.proto


export interface WatchOrderRequest {
  'order_id'?: (string);
  'after_version'?: (number);
}

export interface WatchOrderRequest__Output {
  'order_id': (string);
  'after_version': (number);
}
