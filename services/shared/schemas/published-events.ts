import { z } from 'zod';

export type DataSchemas = Readonly<Record<string, z.ZodType>>;

/** The Dapr component of events: `pubsub` delivers an event to one replica per subscriber, `broadcast` to every running replica. */
export type EventComponent = 'pubsub' | 'broadcast';

/** The events that one service publishes, as its contract declares them. */
export interface PublishedEvents {
  component: EventComponent;
  /** The app id of the service, which is the `source` of its events. */
  source: string;
  /** The schemas of the data by event type. The event type is also the name of the topic. */
  data: DataSchemas;
  types: readonly string[];
}

/** `PublishedEvents` with the event types known to the compiler. */
export interface TypedEvents<Data extends DataSchemas> extends PublishedEvents {
  data: Data;
  types: readonly (keyof Data & string)[];
}

/** Declares the events that a service publishes. */
export function defineEvents<const Data extends DataSchemas>(
  source: string,
  data: Data,
  component: EventComponent = 'pubsub',
): TypedEvents<Data> {
  return { component, source, data, types: Object.keys(data) };
}

/**
 * The schema of an event: CloudEvents 1.0 in structured mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). Services accept no other form. Further members are
 * allowed, because sidecars add some, such as the trace.
 */
export function eventSchema({ source, data }: PublishedEvents, type: string) {
  return z.looseObject({
    specversion: z.literal('1.0'),
    id: z.string().min(1),
    source: z.literal(source),
    type: z.literal(type),
    subject: z.string().min(1),
    time: z.iso.datetime({ offset: true }),
    datacontenttype: z.literal('application/json'),
    data: data[type] ?? z.never(),
  });
}
