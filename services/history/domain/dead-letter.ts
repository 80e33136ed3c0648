import { createHash } from 'node:crypto';
import { z } from 'zod';
import { shipmentEvents } from '../../fulfilment/contract.ts';
import { inventoryEvents } from '../../inventory/contract.ts';
import { orderEvents } from '../../orders/contract.ts';
import { paymentEvents } from '../../payments/contract.ts';
import type { CloudEvent } from '../../shared/events.ts';
import { userEvents } from '../../users/contract.ts';
import type { DeadLetter } from '../contract.ts';

/** Every type of event in the system; each has a topic of its name. */
const EVENT_TYPES: ReadonlySet<string> = new Set(
  [orderEvents, inventoryEvents, paymentEvents, shipmentEvents, userEvents].flatMap(
    ({ types }): readonly string[] => types,
  ),
);

/** What of a message can be told, whatever it is. `topic` is the sidecar's addition: where it was published. */
const recognised = z.object({
  id: z.string().catch(''),
  type: z.string().catch(''),
  topic: z.string().catch(''),
  data: z.unknown(),
});

/** The dead letter of a message. The same event gives the same id, however often and by whatever way it comes. */
export function deadLetterOf(event: unknown, receivedAt: Date): DeadLetter {
  const { success, data: told } = recognised.safeParse(event);
  const content = success ? [told.id, told.type, told.data ?? event] : [event];
  return {
    dead_letter_id: createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32),
    type: (success && [told.type, told.topic].find((name) => EVENT_TYPES.has(name))) || 'unknown',
    event_id: success ? told.id : '',
    received_at: receivedAt.toISOString(),
    redriven: 0,
    event,
  };
}

const cloudEventSchema = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().refine((type) => EVENT_TYPES.has(type)),
});

/** The event to publish again, as it came; undefined where it is no event, or of no type of ours. */
export function redrivable({ event }: DeadLetter): CloudEvent | undefined {
  return cloudEventSchema.safeParse(event).data as CloudEvent | undefined;
}

/** As it may be shown. No event of ours carries a secret, but a message that is none may. */
export function shown(letter: DeadLetter): DeadLetter {
  return { ...letter, event: withoutSecrets(letter.event) };
}

const SECRET = /password|token|secret|authorization/i;

export function withoutSecrets(event: unknown): unknown {
  return JSON.parse(JSON.stringify(event, redact)) as unknown;
}

/** A value goes where its name tells a secret, a text where it speaks of one: it may be JSON in a string. */
function redact(name: string, value: unknown): unknown {
  const text = name === 'data_base64' ? Buffer.from(String(value), 'base64').toString() : value;
  return SECRET.test(name) || (typeof text === 'string' && SECRET.test(text)) ? '[redacted]' : value;
}
