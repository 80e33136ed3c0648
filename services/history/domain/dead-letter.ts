import { createHash } from 'node:crypto';
import { z } from 'zod';
import { shipmentEvents } from '../../fulfilment/contract.ts';
import { inventoryEvents } from '../../inventory/contract.ts';
import { orderEvents } from '../../orders/contract.ts';
import { paymentEvents } from '../../payments/contract.ts';
import { returnEvents } from '../../returns/contract.ts';
import type { CloudEvent } from '../../shared/dapr/cloud-event.ts';
import { userEvents } from '../../users/contract.ts';
import type { DeadLetter } from '../contract.ts';

/** All event types of the system. Each has a topic of the same name. */
export const EVENT_TYPES: ReadonlySet<string> = new Set(
  [orderEvents, inventoryEvents, paymentEvents, shipmentEvents, returnEvents, userEvents].flatMap(
    ({ types }): readonly string[] => types,
  ),
);

/** The type of a message that is no event of the system. */
export const UNKNOWN_TYPE = 'unknown';

/** The fields of any message. The sidecar adds `topic`. */
const envelopeSchema = z.object({
  id: z.string().catch(''),
  type: z.string().catch(''),
  topic: z.string().catch(''),
  data: z.unknown(),
});

/** Creates the dead letter of a message. The same event always has the same id. */
export function deadLetterOf(event: unknown, receivedAt: Date): DeadLetter {
  const { success, data: envelope } = envelopeSchema.safeParse(event);
  const content = success ? [envelope.id, envelope.type, envelope.data ?? event] : [event];
  return {
    dead_letter_id: createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32),
    type: (success && [envelope.type, envelope.topic].find((name) => EVENT_TYPES.has(name))) || UNKNOWN_TYPE,
    event_id: success ? envelope.id : '',
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

/** The original event to redrive; undefined if the message is not an event of a known type. */
export function redrivable({ event }: DeadLetter): CloudEvent | undefined {
  return cloudEventSchema.safeParse(event).data as CloudEvent | undefined;
}

/** The dead letter for the API, without secrets and without the addresses and names of users. */
export function redacted(letter: DeadLetter): DeadLetter {
  return { ...letter, event: redactSecrets(letter.event) };
}

const SECRET = /password|token|secret|authorization/i;
const PERSONAL_NAME = /e-?mail|address|^name$/i;
const EMAIL_ADDRESS = /\S@\S/;

export function redactSecrets(event: unknown): unknown {
  return JSON.parse(JSON.stringify(event, redact)) as unknown;
}

/**
 * Redacts values whose name suggests a secret or personal data, and texts that contain the name of a secret or an e-mail address,
 * such as JSON in a string.
 */
function redact(name: string, value: unknown): unknown {
  const text = name === 'data_base64' ? Buffer.from(String(value), 'base64').toString() : value;
  if (SECRET.test(name) || PERSONAL_NAME.test(name)) return '[redacted]';
  const isHidden = typeof text === 'string' && (SECRET.test(text) || EMAIL_ADDRESS.test(text));
  return isHidden ? '[redacted]' : value;
}
