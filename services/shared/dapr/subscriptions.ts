import { Router } from 'express';
import type { z } from 'zod';
import { addRequestFields } from '../telemetry/request-context.ts';
import { COMMON_METRICS } from '../telemetry/common-metrics.ts';
import { inProcessSpan } from '../telemetry/spans.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createCounter, type Metrics } from '../telemetry/metrics.ts';
import { eventSchema, type DataSchemas, type TypedEvents } from '../schemas/published-events.ts';
import { ConflictError, SidecarError } from './sidecar-call.ts';

/** A handler throws this for an event that no retry can process. The event becomes a dead letter at once. */
export class UnprocessableEvent extends Error {}

/** The handler of one event type. If it throws, the broker redelivers the event. */
export interface Subscription {
  type: string;
  handle: (body: unknown) => Promise<void>;
}

/** Subscribes to one event type of another service's contract. Only the declared form is accepted. */
export function onEvent<Data extends DataSchemas, Type extends keyof Data & string>(
  events: TypedEvents<Data>,
  type: Type,
  handler: (data: z.output<Data[Type]>) => Promise<void>,
): Subscription {
  const schema = eventSchema(events, type);
  return {
    type,
    handle: async (body) => {
      const event = schema.safeParse(body);
      if (!event.success)
        throw new UnprocessableEvent(`not a valid ${type} event of ${events.source}`, { cause: event.error });
      await handler(event.data.data as z.output<Data[Type]>);
    },
  };
}

const OUTCOMES = { DROP: 'event rejected', RETRY: 'event failed; the sidecar will redeliver' } as const;

/**
 * The routes `POST /events/<type>` that the Subscription resources name. They answer SUCCESS, DROP for an unprocessable event
 * (it becomes a dead letter), and RETRY for every other error
 * (https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response).
 */
export function createSubscriptionRouter(
  { log, metrics }: { log: Logger; metrics: Metrics },
  handlers: Subscription[],
): Router {
  const redeliveries = createCounter(metrics, COMMON_METRICS.redeliveries);
  const router = Router();
  for (const { type, handle } of handlers) {
    for (const cause of COMMON_METRICS.redeliveries.labels.cause) redeliveries.inc({ event: type, cause }, 0);
    router.post(`/events/${type}`, async (req, res) => {
      const { id, subject } = (req.body ?? {}) as { id?: unknown; subject?: unknown };
      addRequestFields({ event_type: type, event_id: String(id), subject: String(subject) });
      try {
        // guard: handle before acknowledging
        await inProcessSpan(type, String(id), () => handle(req.body));
        addRequestFields({ outcome: 'SUCCESS' });
        res.json({ status: 'SUCCESS' });
      } catch (error) {
        const status = error instanceof UnprocessableEvent ? 'DROP' : 'RETRY';
        addRequestFields({ outcome: status });
        if (status === 'RETRY') redeliveries.inc({ event: type, cause: causeOf(error) });
        log.warn({ err: error }, OUTCOMES[status]);
        res.json({ status });
      }
    });
  }
  return router;
}

/** Why a handler failed: other writers, the sidecar or a component behind it, or the service and what it calls. */
function causeOf(error: unknown): 'conflict' | 'sidecar' | 'other' {
  if (error instanceof ConflictError) return 'conflict';
  return error instanceof SidecarError ? 'sidecar' : 'other';
}
