import { addRequestFields } from '../../shared/telemetry/request-context.ts';
import { Metadata } from '@grpc/grpc-js';
import type { z } from 'zod';
import { orderAcceptedSchema, orderSchema } from '../../orders/contract.ts';
import { callerHeaders } from '../../shared/http/caller.ts';

import type { SidecarRequest } from '../../shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { id } from '../../shared/schemas/types.ts';
import { parsePath } from '../../shared/http/validation.ts';
import { invokeWithRetry } from '../invoke-with-retry.ts';
import type { WatchOrder } from '../order-updates/feed.ts';
import { toResponseError } from './errors.ts';
import { metadataValue, type AuthorizedCall, type AuthenticatedHandlers } from './authenticated-handlers.ts';
import type { OrderServiceHandlers } from './generated/sidecart/v1/OrderService.ts';
import { orderMessage, statusName } from './messages.ts';

export interface OrderServiceDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  watch: WatchOrder;
}

/** The methods of `sidecart.v1.OrderService`. They call the same routes of `orders` as the REST API. */
export function createOrderService(
  { unary, stream }: AuthenticatedHandlers,
  { sidecar, watch }: OrderServiceDeps,
): OrderServiceHandlers {
  /** Calls `orders` with these headers only. The sidecar client adds the request id and the trace context. */
  async function ask<Schema extends z.ZodType>(
    { caller, metadata, signal }: AuthorizedCall<unknown>,
    target: Pick<SidecarRequest, 'method' | 'path'>,
    schema: Schema,
    body?: object,
  ): Promise<{ answer: z.infer<Schema>; metadata: Metadata }> {
    const key = metadataValue(metadata, 'idempotency-key');
    const response = await invokeWithRetry(sidecar, 'orders', {
      ...target,
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        // A key that is too long is cut, so that it passes the sidecar and `orders` rejects it.
        ...(key === undefined ? {} : { 'idempotency-key': key.slice(0, 1_024) }),
        ...callerHeaders(caller),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      // grpc-js also cancels the call at its deadline.
      signal,
    });
    if (response.status >= 400) throw toResponseError('orders', response);
    const replayed = response.headers['idempotent-replayed'];
    const responseMetadata = new Metadata();
    if (typeof replayed === 'string') responseMetadata.set('idempotent-replayed', replayed);
    return { answer: schema.parse(JSON.parse(response.body.toString())), metadata: responseMetadata };
  }

  return {
    CreateOrder: unary('current', async (asked) => {
      const target = { method: 'POST', path: '/api/orders' } as const;
      // The message has the fields of the REST body. `orders` validates it.
      const { answer, metadata } = await ask(asked, target, orderAcceptedSchema, asked.request);
      return { message: { ...answer, status: statusName(answer.status) }, metadata };
    }),

    GetOrder: unary('recent', async (asked) => {
      const target = { method: 'GET', path: `/api/orders/${orderIdOf(asked)}` } as const;
      const { answer, metadata } = await ask(asked, target, orderSchema);
      return { message: orderMessage(answer), metadata };
    }),

    CancelOrder: unary('current', async (asked) => {
      const target = { method: 'POST', path: `/api/orders/${orderIdOf(asked)}/cancel` } as const;
      const { answer, metadata } = await ask(asked, target, orderSchema, { reason: asked.request.reason });
      return { message: orderMessage(answer), metadata };
    }),

    WatchOrder: stream(async function* events(asked) {
      const { caller, request, signal } = asked;
      const after = Math.max(0, request.after_version);
      for await (const { type, order } of watch(caller, orderIdOf(asked), after, signal))
        yield { type, order: orderMessage(order) };
    }),
  };
}

/** The validated id, which becomes part of a path. @throws ProblemError 404 */
function orderIdOf({ request }: AuthorizedCall<{ order_id: string }>): string {
  const orderId = parsePath(id, request.order_id, 'order');
  addRequestFields({ order_id: orderId });
  return orderId;
}
