import type { z } from 'zod';
import type { DataSchemas, TypedEvents } from '../schemas/published-events.ts';
import { cloudEvent } from './cloud-event.ts';
import type { Sidecar } from './sidecar.ts';

/** Publishes the events that a contract declares, and nothing else. */
export interface EventPublisher<Data extends DataSchemas> {
  /**
   * Resolves when the broker has confirmed the event. See `Sidecar.publish` and `Sidecar.broadcast`.
   *
   * @param event.id derived from the change, so that a republished event has the same id
   * @param event.time the time of the change
   */
  publish: <Type extends keyof Data & string>(
    type: Type,
    event: { id: string; subject: string; time: string; data: z.input<Data[Type]> },
  ) => Promise<void>;
}

/** @param events the table of a contract. It decides whether events are published or broadcast. */
export function createEventPublisher<Data extends DataSchemas>(
  sidecar: Pick<Sidecar, 'publish' | 'broadcast'>,
  events: TypedEvents<Data>,
): EventPublisher<Data> {
  const send = events.component === 'broadcast' ? sidecar.broadcast : sidecar.publish;
  return { publish: (type, event) => send(cloudEvent(events, { ...event, type })) };
}
