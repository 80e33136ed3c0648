import { Metadata, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { z } from 'zod';
import { orderAcceptedSchema, orderSchema } from '../../orders/contract.ts';
import { headersOf } from '../../shared/identity.ts';
import { aboutOrder } from '../../shared/service.ts';
import type { SidecarRequest } from '../../shared/sidecar-call.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { id } from '../../shared/types.ts';
import { parsePath } from '../../shared/validate.ts';
import type { WatchOrder } from '../order-updates/live-orders.ts';
import { answeredError } from './failure.ts';
import { textOf, type Asked, type Guard } from './guard.ts';
import {
  orderMessage,
  statusName,
  type CancelOrderRequest,
  type CreateOrderRequest,
  type CreateOrderResponse,
  type GetOrderRequest,
  type OrderEventMessage,
  type OrderMessage,
  type WatchOrderRequest,
} from './messages.ts';

export interface OrderServiceDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  watch: WatchOrder;
}

/** The methods of `sidecart.v1.OrderService`: orders is asked as the REST API asks it. */
export function orderService(
  { unary, stream }: Guard,
  { sidecar, watch }: OrderServiceDeps,
): UntypedServiceImplementation {
  /** Nothing but what is given here passes; request id and trace context go along by themselves. */
  async function ask<Schema extends z.ZodType>(
    { caller, metadata, signal }: Asked<unknown>,
    target: Pick<SidecarRequest, 'method' | 'path'>,
    schema: Schema,
    body?: object,
  ): Promise<{ answer: z.infer<Schema>; metadata: Metadata }> {
    const key = textOf(metadata, 'idempotency-key');
    const response = await sidecar.invoke('orders', {
      ...target,
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        // What is longer than any key is shortened: orders refuses it, where a sidecar could not even pass it on.
        ...(key === undefined ? {} : { 'idempotency-key': key.slice(0, 1_024) }),
        ...headersOf(caller),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      // Also when the deadline passes: the library cancels the call then.
      signal,
    });
    if (response.status >= 400) throw answeredError('orders', response);
    const replayed = response.headers['idempotent-replayed'];
    const told = new Metadata();
    if (typeof replayed === 'string') told.set('idempotent-replayed', replayed);
    return { answer: schema.parse(JSON.parse(response.body.toString())), metadata: told };
  }

  return {
    CreateOrder: unary<CreateOrderRequest, CreateOrderResponse>('current', async (asked) => {
      const target = { method: 'POST', path: '/api/orders' } as const;
      // The message is the body, field by field; orders says what is wrong with it.
      const { answer, metadata } = await ask(asked, target, orderAcceptedSchema, asked.request);
      return { message: { ...answer, status: statusName(answer.status) }, metadata };
    }),

    GetOrder: unary<GetOrderRequest, OrderMessage>('recent', async (asked) => {
      const target = { method: 'GET', path: `/api/orders/${orderIdOf(asked)}` } as const;
      const { answer, metadata } = await ask(asked, target, orderSchema);
      return { message: orderMessage(answer), metadata };
    }),

    CancelOrder: unary<CancelOrderRequest, OrderMessage>('current', async (asked) => {
      const target = { method: 'POST', path: `/api/orders/${orderIdOf(asked)}/cancel` } as const;
      const { answer, metadata } = await ask(asked, target, orderSchema, { reason: asked.request.reason });
      return { message: orderMessage(answer), metadata };
    }),

    WatchOrder: stream<WatchOrderRequest, OrderEventMessage>(async function* events(asked) {
      const { caller, request, signal } = asked;
      const after = Math.max(0, request.after_version);
      for await (const { type, order } of watch(caller, orderIdOf(asked), after, signal))
        yield { type, order: orderMessage(order) };
    }),
  };
}

/** Checked before it becomes part of a path. @throws Problem 404 */
function orderIdOf({ request }: Asked<{ order_id: string }>): string {
  const orderId = parsePath(id, request.order_id, 'order');
  aboutOrder(orderId);
  return orderId;
}
