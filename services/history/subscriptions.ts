import { addRequestFields } from '../shared/telemetry/request-context.ts';
import express, { Router } from 'express';
import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import { onEvent, createSubscriptionRouter, UnprocessableEvent } from '../shared/dapr/subscriptions.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import { BODY_LIMIT_BYTES } from '../shared/runtime/service-app.ts';
import { userEvents } from '../users/contract.ts';
import type { DeadLetterStore } from './store/dead-letter-store.ts';
import { deadLetterOf, redactSecrets } from './domain/dead-letter.ts';
import { METRICS } from './metrics.ts';
import type { ReasonErasure } from './reason-erasure.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

/** The handler of all order events. Each event contains the whole order, so they may arrive in any order. */
export function createOrderSubscriptions(deps: {
  log: Logger;
  metrics: Metrics;
  readModel: ReadModelStore;
}): Router {
  return createSubscriptionRouter(
    deps,
    orderEvents.types.map((type) =>
      onEvent(orderEvents, type, async ({ order }) => {
        addRequestFields({ order_id: order.order_id });
        await deps.readModel.record(order);
      }),
    ),
  );
}

/** Erases texts of the customer when the account is deleted. */
export function createAccountSubscriptions(deps: {
  log: Logger;
  metrics: Metrics;
  erasure: ReasonErasure;
}): Router {
  return createSubscriptionRouter(deps, [
    onEvent(userEvents, 'user.deleted', ({ user_id }) => deps.erasure.begin(user_id)),
  ]);
}

/** Saves messages that no handler could process. Only a failure of the state store causes a redelivery. */
export function createDeadLetterSubscription(deps: {
  log: Logger;
  metrics: Metrics;
  deadLetters: DeadLetterStore;
  now: () => Date;
}): Router {
  const { log, metrics, deadLetters, now } = deps;
  const kept = createCounter(metrics, METRICS.deadLetters);
  const router = Router();
  router.use('/events/dead-letters', express.json({ type: () => true, limit: RAW_MESSAGE_LIMIT }));
  router.use(
    createSubscriptionRouter(deps, [
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

/** The largest message that a sidecar forwards by default (4 MB), in base64. */
const RAW_MESSAGE_LIMIT = '6mb';

/**
 * The form of a message in the raw subscription to the dead letters. The subscription is raw, because a sidecar cannot
 * deliver text as an event (https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-raw/).
 */
const rawMessage = z.object({ data_base64: z.string() });

function messageIn(body: unknown): unknown {
  const raw = rawMessage.safeParse(body);
  if (!raw.success) throw new UnprocessableEvent('not a raw message', { cause: raw.error });
  return parseAny(Buffer.from(raw.data.data_base64, 'base64').toString());
}

/** The maximum length of a stored message. Events are shorter; of other messages, the start is enough. */
function parseAny(text: string): unknown {
  if (text.length > BODY_LIMIT_BYTES) return text.slice(0, BODY_LIMIT_BYTES);
  try {
    const body = JSON.parse(text) as unknown;
    // JSON that is nested too deep can be parsed but not serialized.
    redactSecrets(body);
    return body;
  } catch {
    return text;
  }
}
