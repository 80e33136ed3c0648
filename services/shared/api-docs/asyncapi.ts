import { z } from 'zod';
import type { EventDescription, ServiceDescription } from './route-table.ts';
import type { Json } from './openapi-problems.ts';
import { eventSchema, type PublishedEvents } from '../schemas/published-events.ts';

const SPECIFICATION = 'https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md';

/** What the response to a delivery means: https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response. */
const ANSWERS = {
  SUCCESS: 'The event is processed. The sidecar acknowledges it.',
  RETRY: 'The sidecar delivers the event again. An error and a timeout mean the same.',
  DROP: 'The event can never be processed. The sidecar publishes it to the dead letters.',
};

/**
 * Generates an AsyncAPI 3 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of the events that these
 * services publish and receive. Each topic is a channel with the JSON Schema of its CloudEvent.
 */
export function asyncApi(services: readonly ServiceDescription[]): Json {
  const channels: Json = {};
  const operations: Json = {};
  const messages: Json = {};

  function addChannel(published: PublishedEvents, type: string, description?: EventDescription): void {
    if (messages[type]) return;
    messages[type] = message(published, type, description);
    channels[type] = {
      address: type,
      ...(description ? { description: description.summary } : {}),
      messages: { [type]: { $ref: `#/components/messages/${type}` } },
    };
  }

  function addOperation(action: 'send' | 'receive', service: string, type: string, more: Json): void {
    operations[`${service}.${action}.${type}`] = {
      action,
      tags: [tagOf(service)],
      channel: { $ref: `#/channels/${type}` },
      messages: [{ $ref: `#/channels/${type}/messages/${type}` }],
      ...more,
    };
  }

  for (const { events } of services)
    for (const { published, descriptions } of events)
      for (const type of published.types) {
        const description = descriptions[type];
        addChannel(published, type, description);
        addOperation('send', published.source, type, sendingOf(description));
      }
  for (const { name, subscribes } of services)
    for (const { published, types } of subscribes)
      for (const type of types) {
        addChannel(published, type);
        addOperation('receive', name, type, { 'x-http': deliveryOf(published, type) });
      }
  const participants = services.filter(({ events, subscribes }) => events.length + subscribes.length > 0);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Sidecart events',
      version: '1',
      description: 'Events of orders, stock, payments, shipments and accounts, as CloudEvents 1.0.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      tags: participants.map(({ name }) => tagOf(name)),
    },
    defaultContentType: 'application/cloudevents+json',
    channels,
    operations,
    components: {
      messages,
      tags: Object.fromEntries(
        participants.map(({ name, summary }) => [name, { name, description: summary }]),
      ),
    },
  };
}

/** How the sidecar delivers an event: the component, the route, and the meaning of `{ "status": ... }` in the response. */
const deliveryOf = ({ component }: PublishedEvents, type: string): Json => ({
  component,
  method: 'POST',
  path: `/events/${type}`,
  statuses: ANSWERS,
});

/** What a publisher needs to know: a repeated publish must carry the same id and time. */
const sendingOf = (description?: EventDescription): Json => ({
  ...(description ? { summary: description.summary } : {}),
  ...(description?.derivation ? { 'x-derivation': description.derivation } : {}),
});

const tagOf = (service: string) => ({ $ref: `#/components/tags/${service}` });

function message(published: PublishedEvents, type: string, description?: EventDescription): Json {
  const { source } = published;
  // A subscriber ignores members that it does not know, so that a publisher can add some.
  const io = description ? 'output' : 'input';
  const { $schema: _, ...payload } = z.toJSONSchema(eventSchema(published, type), { target: 'draft-7', io });
  return {
    name: type,
    title: type,
    ...(description ? { summary: description.summary } : {}),
    contentType: 'application/cloudevents+json',
    payload: { description: SPECIFICATION, ...payload },
    ...(description ? { examples: [exampleOf(source, type, description)] } : {}),
  };
}

const exampleOf = (source: string, type: string, { summary, example }: EventDescription): Json => ({
  name: type.replaceAll(/[._]/g, '-'),
  summary,
  payload: {
    specversion: '1.0',
    id: 'the-same-id-when-the-event-is-republished',
    source,
    type,
    subject: 'the-id-of-the-order-product-or-user',
    time: '2026-01-05T09:30:00.000Z',
    datacontenttype: 'application/json',
    data: example,
  },
});
