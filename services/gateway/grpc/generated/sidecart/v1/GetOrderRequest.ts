// Original file: services/gateway/grpc/order_service.proto


export interface GetOrderRequest {
  'order_id'?: (string);
}

export interface GetOrderRequest__Output {
  'order_id': (string);
}
