import type { z } from 'zod';
import type { DataSchemas, TypedEvents } from '../schemas/published-events.ts';

/** A CloudEvent 1.0 in structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. */
export interface CloudEvent<Data = unknown> {
  specversion: '1.0';
  /** Derived from the subject (`<order id>:<version>`), so that a republished event has the same id. */
  id: string;
  /** The app id of the service that publishes it. */
  source: string;
  /** The type of the event, which is also the name of the topic. */
  type: string;
  /** The id of the order, product or user of the event. */
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  data: Data;
}

/** Builds an event that a contract declares. `time` is the time of the change, not of the publishing. */
export function cloudEvent<Data extends DataSchemas, Type extends keyof Data & string>(
  { source }: TypedEvents<Data>,
  event: { id: string; type: Type; subject: string; time: string; data: z.input<Data[Type]> },
): CloudEvent {
  return { specversion: '1.0', datacontenttype: 'application/json', source, ...event };
}
