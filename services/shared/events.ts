import { Router } from 'express';
import { z } from 'zod';
import { addRequestFields } from './context.ts';
import type { Logger } from './log.ts';

/** A CloudEvent 1.0 in structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. */
export interface CloudEvent<Data = unknown> {
  specversion: '1.0';
  /** Derived from what it tells of (`<order id>:<version>`), so that saying it twice gives the same id. */
  id: string;
  /** The service that says it. */
  source: string;
  /** What happened; also the name of the topic. */
  type: string;
  /** The id of what it happened to. */
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  data: Data;
}

/** Builds the event of a service. `time` is when it happened, not when it is said. */
export function cloudEvent<Data>(event: {
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  data: Data;
}): CloudEvent<Data> {
  return { specversion: '1.0', datacontenttype: 'application/json', ...event };
}

/** Thrown by a handler for an event that no later try can process: it goes to the dead letters at once. */
export class UnprocessableEvent extends Error {}

const envelope = z.object({ id: z.string(), type: z.string(), data: z.unknown() });

/** A handler of one type of event. It returns when all is done; what it throws will be delivered again. */
export interface Subscription {
  type: string;
  handle: (body: unknown) => Promise<void>;
}

/** Pairs an event's type with the schema of its data and its handler. */
export function on<Schema extends z.ZodType>(
  type: string,
  data: Schema,
  handler: (data: z.infer<Schema>) => Promise<void>,
): Subscription {
  return {
    type,
    handle: async (body) => {
      await handler(data.parse(envelope.parse(body).data));
    },
  };
}

/**
 * Routes for events: `POST /events/<type>`, as the Subscription resources name them. Answers as
 * https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response asks: SUCCESS when done, DROP (to the dead
 * letters) for what does not parse and so never will, RETRY for everything else.
 */
export function subscriptions(log: Logger, handlers: Subscription[]): Router {
  const router = Router();
  for (const { type, handle } of handlers) {
    router.post(`/events/${type}`, async (req, res) => {
      const { id, subject } = (req.body ?? {}) as { id?: unknown; subject?: unknown };
      addRequestFields({ event_id: String(id), subject: String(subject) });
      try {
        await handle(req.body);
        res.json({ status: 'SUCCESS' });
      } catch (error) {
        const status = error instanceof z.ZodError || error instanceof UnprocessableEvent ? 'DROP' : 'RETRY';
        log.warn({ err: error, event_type: type }, `event not handled: ${status}`);
        res.json({ status });
      }
    });
  }
  return router;
}
