// Original file: services/gateway/grpc/order_service.proto


export interface PaymentMethod {
  'method'?: (string);
  'card_token'?: (string);
}

export interface PaymentMethod__Output {
  'method': (string);
  'card_token': (string);
}
