import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { CancelOrderRequest as _sidecart_v1_CancelOrderRequest, CancelOrderRequest__Output as _sidecart_v1_CancelOrderRequest__Output } from './sidecart/v1/CancelOrderRequest.ts';
import type { CartItem as _sidecart_v1_CartItem, CartItem__Output as _sidecart_v1_CartItem__Output } from './sidecart/v1/CartItem.ts';
import type { CreateOrderRequest as _sidecart_v1_CreateOrderRequest, CreateOrderRequest__Output as _sidecart_v1_CreateOrderRequest__Output } from './sidecart/v1/CreateOrderRequest.ts';
import type { CreateOrderResponse as _sidecart_v1_CreateOrderResponse, CreateOrderResponse__Output as _sidecart_v1_CreateOrderResponse__Output } from './sidecart/v1/CreateOrderResponse.ts';
import type { GetOrderRequest as _sidecart_v1_GetOrderRequest, GetOrderRequest__Output as _sidecart_v1_GetOrderRequest__Output } from './sidecart/v1/GetOrderRequest.ts';
import type { Order as _sidecart_v1_Order, Order__Output as _sidecart_v1_Order__Output } from './sidecart/v1/Order.ts';
import type { OrderEvent as _sidecart_v1_OrderEvent, OrderEvent__Output as _sidecart_v1_OrderEvent__Output } from './sidecart/v1/OrderEvent.ts';
import type { OrderLine as _sidecart_v1_OrderLine, OrderLine__Output as _sidecart_v1_OrderLine__Output } from './sidecart/v1/OrderLine.ts';
import type { OrderServiceClient as _sidecart_v1_OrderServiceClient, OrderServiceDefinition as _sidecart_v1_OrderServiceDefinition } from './sidecart/v1/OrderService.ts';
import type { PaymentMethod as _sidecart_v1_PaymentMethod, PaymentMethod__Output as _sidecart_v1_PaymentMethod__Output } from './sidecart/v1/PaymentMethod.ts';
import type { WatchOrderRequest as _sidecart_v1_WatchOrderRequest, WatchOrderRequest__Output as _sidecart_v1_WatchOrderRequest__Output } from './sidecart/v1/WatchOrderRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  sidecart: {
    v1: {
      CancelOrderRequest: MessageTypeDefinition<_sidecart_v1_CancelOrderRequest, _sidecart_v1_CancelOrderRequest__Output>
      CartItem: MessageTypeDefinition<_sidecart_v1_CartItem, _sidecart_v1_CartItem__Output>
      CreateOrderRequest: MessageTypeDefinition<_sidecart_v1_CreateOrderRequest, _sidecart_v1_CreateOrderRequest__Output>
      CreateOrderResponse: MessageTypeDefinition<_sidecart_v1_CreateOrderResponse, _sidecart_v1_CreateOrderResponse__Output>
      GetOrderRequest: MessageTypeDefinition<_sidecart_v1_GetOrderRequest, _sidecart_v1_GetOrderRequest__Output>
      Order: MessageTypeDefinition<_sidecart_v1_Order, _sidecart_v1_Order__Output>
      OrderEvent: MessageTypeDefinition<_sidecart_v1_OrderEvent, _sidecart_v1_OrderEvent__Output>
      OrderLine: MessageTypeDefinition<_sidecart_v1_OrderLine, _sidecart_v1_OrderLine__Output>
      OrderService: SubtypeConstructor<typeof grpc.Client, _sidecart_v1_OrderServiceClient> & { service: _sidecart_v1_OrderServiceDefinition }
      OrderStatus: EnumTypeDefinition
      PaymentMethod: MessageTypeDefinition<_sidecart_v1_PaymentMethod, _sidecart_v1_PaymentMethod__Output>
      WatchOrderRequest: MessageTypeDefinition<_sidecart_v1_WatchOrderRequest, _sidecart_v1_WatchOrderRequest__Output>
    }
  }
}

