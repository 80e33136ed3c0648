import { Router } from 'express';
import type { z } from 'zod';
import { addRequestFields } from '../telemetry/request-context.ts';
import { inProcessSpan } from '../telemetry/spans.ts';
import type { Logger } from '../telemetry/logger.ts';
import { eventSchema, type DataSchemas, type TypedEvents } from '../schemas/published-events.ts';

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
export function createSubscriptionRouter(log: Logger, handlers: Subscription[]): Router {
  const router = Router();
  for (const { type, handle } of handlers) {
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
        log.warn({ err: error }, OUTCOMES[status]);
        res.json({ status });
      }
    });
  }
  return router;
}
