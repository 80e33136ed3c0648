import { z } from 'zod';
import type { DescribedEvents, ServiceDescription } from './route-table.ts';
import type { Json } from './openapi-problems.ts';
import { eventSchema } from '../schemas/published-events.ts';

const SPECIFICATION = 'https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md';

/**
 * Generates an AsyncAPI 3 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of the events that these
 * services publish. Each topic is a channel with the JSON Schema of its CloudEvent.
 */
export function asyncApi(services: readonly ServiceDescription[]): Json {
  const channels: Json = {};
  const operations: Json = {};
  const messages: Json = {};
  const speakers = services.filter(({ events }) => events.length > 0);
  for (const described of services.flatMap(({ events }) => events))
    for (const [type, { summary }] of Object.entries(described.descriptions)) {
      const { source } = described.published;
      messages[type] = message(described, type);
      channels[type] = {
        address: type,
        description: summary,
        messages: { [type]: { $ref: `#/components/messages/${type}` } },
      };
      operations[`${source}.${type}`] = {
        action: 'send',
        summary,
        tags: [tagOf(source)],
        channel: { $ref: `#/channels/${type}` },
        messages: [{ $ref: `#/channels/${type}/messages/${type}` }],
      };
    }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Sidecart events',
      version: '1',
      description: 'Events of orders, stock, payments, shipments and accounts, as CloudEvents 1.0.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      tags: speakers.map(({ name }) => tagOf(name)),
    },
    defaultContentType: 'application/cloudevents+json',
    channels,
    operations,
    components: {
      messages,
      tags: Object.fromEntries(speakers.map(({ name, summary }) => [name, { name, description: summary }])),
    },
  };
}

const tagOf = (service: string) => ({ $ref: `#/components/tags/${service}` });

function message({ published, descriptions }: DescribedEvents, type: string): Json {
  const { summary, example } = descriptions[type] ?? { summary: type, example: {} };
  const { source } = published;
  const { $schema: _, ...payload } = z.toJSONSchema(eventSchema(published, type), { target: 'draft-7' });
  return {
    name: type,
    title: type,
    summary,
    contentType: 'application/cloudevents+json',
    payload: { description: SPECIFICATION, ...payload },
    examples: [
      {
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
      },
    ],
  };
}
