import { Router } from 'express';
import type { z } from 'zod';
import { addRequestFields } from './context.ts';
import type { Logger } from './log.ts';
import { eventSchema, type DataSchemas, type TypedEvents } from './published-events.ts';

/** A CloudEvent 1.0 in structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. */
export interface CloudEvent<Data = unknown> {
  specversion: '1.0';
  /** Derived from what it tells of (`<order id>:<version>`), so that saying it twice gives the same id. */
  id: string;
  /** The app id of the service that publishes it. */
  source: string;
  /** What happened; also the name of the topic. */
  type: string;
  /** The id of what it happened to. */
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  data: Data;
}

/** Builds an event that a contract declares. `time` is when it happened, not when it is published. */
export function cloudEvent<Data extends DataSchemas, Type extends keyof Data & string>(
  { source }: TypedEvents<Data>,
  event: { id: string; type: Type; subject: string; time: string; data: z.input<Data[Type]> },
): CloudEvent {
  return { specversion: '1.0', datacontenttype: 'application/json', source, ...event };
}

/** Thrown by a handler for an event that no later try can process: it goes to the dead letters at once. */
export class UnprocessableEvent extends Error {}

/** A handler of one type of event. It returns when all is done; what it throws will be delivered again. */
export interface Subscription {
  type: string;
  handle: (body: unknown) => Promise<void>;
}

/** Subscribes to one type of the events that another service's contract declares. Only that form of it is accepted. */
export function on<Data extends DataSchemas, Type extends keyof Data & string>(
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
 * Routes for events: `POST /events/<type>`, as the Subscription resources name them. Answers as
 * https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response asks: SUCCESS when done, DROP (to the dead
 * letters) for what has another form or source than its contract says, RETRY for everything else.
 */
export function subscriptions(log: Logger, handlers: Subscription[]): Router {
  const router = Router();
  for (const { type, handle } of handlers) {
    router.post(`/events/${type}`, async (req, res) => {
      const { id, subject } = (req.body ?? {}) as { id?: unknown; subject?: unknown };
      addRequestFields({ event_id: String(id), subject: String(subject) });
      try {
        // guard: handle before acknowledging
        await handle(req.body);
        res.json({ status: 'SUCCESS' });
      } catch (error) {
        const status = error instanceof UnprocessableEvent ? 'DROP' : 'RETRY';
        log.warn({ err: error, event_type: type, outcome: status }, OUTCOMES[status]);
        res.json({ status });
      }
    });
  }
  return router;
}
