// Original file: services/gateway/grpc/order_service.proto


export interface CancelOrderRequest {
  'order_id'?: (string);
  'reason'?: (string);
  '_reason'?: "reason";
}

export interface CancelOrderRequest__Output {
  'order_id': (string);
  'reason'?: (string);
}
