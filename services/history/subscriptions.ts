import express, { Router } from 'express';
import { Counter, type Registry } from 'prom-client';
import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import { on, subscriptions, UnprocessableEvent } from '../shared/events.ts';
import type { Logger } from '../shared/log.ts';
import { aboutOrder, BODY_LIMIT } from '../shared/service.ts';
import { userEvents } from '../users/contract.ts';
import type { DeadLetterStore } from './store/dead-letter-store.ts';
import { deadLetterOf, withoutSecrets } from './domain/dead-letter.ts';
import type { ReasonErasure } from './erase-reasons.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

/** Every order event brings the whole order, so all of them are handled alike, in whatever order they come. */
export function orderSubscriptions({ log, readModel }: { log: Logger; readModel: ReadModelStore }): Router {
  return subscriptions(
    log,
    orderEvents.types.map((type) =>
      on(orderEvents, type, async ({ order }) => {
        aboutOrder(order.order_id);
        await readModel.record(order);
      }),
    ),
  );
}

/** What a customer wrote goes with the account. */
export function accountSubscriptions({ log, erasure }: { log: Logger; erasure: ReasonErasure }): Router {
  return subscriptions(log, [on(userEvents, 'user.deleted', ({ user_id }) => erasure.begin(user_id))]);
}

/** Keeps what the other services could not process. Whatever it is, nothing but a failing state store sends it back. */
export function deadLetterSubscription(deps: {
  log: Logger;
  metrics: Registry;
  deadLetters: DeadLetterStore;
  now: () => Date;
}): Router {
  const { log, metrics, deadLetters, now } = deps;
  const kept = new Counter({
    name: 'dead_letters_total',
    help: 'Dead letters stored, by event type',
    labelNames: ['type'],
    registers: [metrics],
  });
  const router = Router();
  router.use('/events/dead-letters', express.json({ type: () => true, limit: RAW_MESSAGE_LIMIT }));
  router.use(
    subscriptions(log, [
      {
        type: 'dead-letters',
        handle: async (body) => {
          const letter = deadLetterOf(messageIn(body), now());
          if (!(await deadLetters.keep(letter))) return;
          const { dead_letter_id, type, event_id } = letter;
          kept.inc({ type });
          log.warn({ dead_letter_id, type, event_id }, 'dead letter stored');
        },
      },
    ]),
  );
  return router;
}

/** The largest message that a sidecar passes on by default (4 MB), in base64. */
const RAW_MESSAGE_LIMIT = '6mb';

/**
 * The subscription to the dead letters is a raw one, because a sidecar cannot deliver text as an event. It wraps every
 * message: https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-raw/.
 */
const rawMessage = z.object({ data_base64: z.string() });

function messageIn(body: unknown): unknown {
  const raw = rawMessage.safeParse(body);
  if (!raw.success) throw new UnprocessableEvent('not a raw message', { cause: raw.error });
  return parseAny(Buffer.from(raw.data.data_base64, 'base64').toString());
}

/** No message of ours is longer than a request's body; of one that is, its start is enough to know it by. */
function parseAny(text: string): unknown {
  if (text.length > BODY_LIMIT) return text.slice(0, BODY_LIMIT);
  try {
    const body = JSON.parse(text) as unknown;
    // JSON nested too deep can be parsed but not be written again.
    withoutSecrets(body);
    return body;
  } catch {
    return text;
  }
}
