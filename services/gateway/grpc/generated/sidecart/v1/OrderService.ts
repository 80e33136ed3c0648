// Original file: services/gateway/grpc/order_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CancelOrderRequest as _sidecart_v1_CancelOrderRequest, CancelOrderRequest__Output as _sidecart_v1_CancelOrderRequest__Output } from '../../sidecart/v1/CancelOrderRequest.ts';
import type { CreateOrderRequest as _sidecart_v1_CreateOrderRequest, CreateOrderRequest__Output as _sidecart_v1_CreateOrderRequest__Output } from '../../sidecart/v1/CreateOrderRequest.ts';
import type { CreateOrderResponse as _sidecart_v1_CreateOrderResponse, CreateOrderResponse__Output as _sidecart_v1_CreateOrderResponse__Output } from '../../sidecart/v1/CreateOrderResponse.ts';
import type { GetOrderRequest as _sidecart_v1_GetOrderRequest, GetOrderRequest__Output as _sidecart_v1_GetOrderRequest__Output } from '../../sidecart/v1/GetOrderRequest.ts';
import type { Order as _sidecart_v1_Order, Order__Output as _sidecart_v1_Order__Output } from '../../sidecart/v1/Order.ts';
import type { OrderEvent as _sidecart_v1_OrderEvent, OrderEvent__Output as _sidecart_v1_OrderEvent__Output } from '../../sidecart/v1/OrderEvent.ts';
import type { WatchOrderRequest as _sidecart_v1_WatchOrderRequest, WatchOrderRequest__Output as _sidecart_v1_WatchOrderRequest__Output } from '../../sidecart/v1/WatchOrderRequest.ts';

export interface OrderServiceClient extends grpc.Client {
  CancelOrder(argument: _sidecart_v1_CancelOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  CancelOrder(argument: _sidecart_v1_CancelOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  CancelOrder(argument: _sidecart_v1_CancelOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  CancelOrder(argument: _sidecart_v1_CancelOrderRequest, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  cancelOrder(argument: _sidecart_v1_CancelOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  cancelOrder(argument: _sidecart_v1_CancelOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  cancelOrder(argument: _sidecart_v1_CancelOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  cancelOrder(argument: _sidecart_v1_CancelOrderRequest, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  
  CreateOrder(argument: _sidecart_v1_CreateOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  CreateOrder(argument: _sidecart_v1_CreateOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  CreateOrder(argument: _sidecart_v1_CreateOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  CreateOrder(argument: _sidecart_v1_CreateOrderRequest, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  createOrder(argument: _sidecart_v1_CreateOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  createOrder(argument: _sidecart_v1_CreateOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  createOrder(argument: _sidecart_v1_CreateOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  createOrder(argument: _sidecart_v1_CreateOrderRequest, callback: grpc.requestCallback<_sidecart_v1_CreateOrderResponse__Output>): grpc.ClientUnaryCall;
  
  GetOrder(argument: _sidecart_v1_GetOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  GetOrder(argument: _sidecart_v1_GetOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  GetOrder(argument: _sidecart_v1_GetOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  GetOrder(argument: _sidecart_v1_GetOrderRequest, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  getOrder(argument: _sidecart_v1_GetOrderRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  getOrder(argument: _sidecart_v1_GetOrderRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  getOrder(argument: _sidecart_v1_GetOrderRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  getOrder(argument: _sidecart_v1_GetOrderRequest, callback: grpc.requestCallback<_sidecart_v1_Order__Output>): grpc.ClientUnaryCall;
  
  WatchOrder(argument: _sidecart_v1_WatchOrderRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_sidecart_v1_OrderEvent__Output>;
  WatchOrder(argument: _sidecart_v1_WatchOrderRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_sidecart_v1_OrderEvent__Output>;
  watchOrder(argument: _sidecart_v1_WatchOrderRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_sidecart_v1_OrderEvent__Output>;
  watchOrder(argument: _sidecart_v1_WatchOrderRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_sidecart_v1_OrderEvent__Output>;
  
}

export interface OrderServiceHandlers extends grpc.UntypedServiceImplementation {
  CancelOrder: grpc.handleUnaryCall<_sidecart_v1_CancelOrderRequest__Output, _sidecart_v1_Order>;
  
  CreateOrder: grpc.handleUnaryCall<_sidecart_v1_CreateOrderRequest__Output, _sidecart_v1_CreateOrderResponse>;
  
  GetOrder: grpc.handleUnaryCall<_sidecart_v1_GetOrderRequest__Output, _sidecart_v1_Order>;
  
  WatchOrder: grpc.handleServerStreamingCall<_sidecart_v1_WatchOrderRequest__Output, _sidecart_v1_OrderEvent>;
  
}

export interface OrderServiceDefinition extends grpc.ServiceDefinition {
  CancelOrder: MethodDefinition<_sidecart_v1_CancelOrderRequest, _sidecart_v1_Order, _sidecart_v1_CancelOrderRequest__Output, _sidecart_v1_Order__Output>
  CreateOrder: MethodDefinition<_sidecart_v1_CreateOrderRequest, _sidecart_v1_CreateOrderResponse, _sidecart_v1_CreateOrderRequest__Output, _sidecart_v1_CreateOrderResponse__Output>
  GetOrder: MethodDefinition<_sidecart_v1_GetOrderRequest, _sidecart_v1_Order, _sidecart_v1_GetOrderRequest__Output, _sidecart_v1_Order__Output>
  WatchOrder: MethodDefinition<_sidecart_v1_WatchOrderRequest, _sidecart_v1_OrderEvent, _sidecart_v1_WatchOrderRequest__Output, _sidecart_v1_OrderEvent__Output>
}
