import { z } from 'zod';
import type { EventDescription, ServiceDescription } from './api.ts';
import type { Json } from './openapi-problems.ts';

const SPECIFICATION = 'https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md';

/**
 * What these services say, as an AsyncAPI 3 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0): a
 * channel for each topic, with the JSON Schema of its CloudEvent.
 */
export function asyncApi(services: readonly ServiceDescription[]): Json {
  const channels: Json = {};
  const operations: Json = {};
  const messages: Json = {};
  const speakers = services.filter(({ events }) => Object.keys(events).length > 0);
  for (const { name, events } of services)
    for (const [type, event] of Object.entries(events)) {
      messages[type] = message(name, type, event);
      channels[type] = {
        address: type,
        description: event.summary,
        messages: { [type]: { $ref: `#/components/messages/${type}` } },
      };
      operations[`${name}.${type}`] = {
        action: 'send',
        summary: event.summary,
        tags: [tagOf(name)],
        channel: { $ref: `#/channels/${type}` },
        messages: [{ $ref: `#/channels/${type}/messages/${type}` }],
      };
    }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Sidecart events',
      version: '1',
      description: 'What happens to orders, stock, payments, parcels and accounts, as CloudEvents 1.0.',
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

function message(source: string, type: string, { summary, data, example }: EventDescription): Json {
  const { $schema: _, ...dataSchema } = z.toJSONSchema(data, { target: 'draft-7' });
  return {
    name: type,
    title: type,
    summary,
    contentType: 'application/cloudevents+json',
    // Open: sidecars add attributes of their own, such as the trace.
    payload: {
      type: 'object',
      required: ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data'],
      description: SPECIFICATION,
      properties: {
        specversion: { const: '1.0' },
        id: { type: 'string', minLength: 1 },
        source: { const: source },
        type: { const: type },
        subject: { type: 'string', minLength: 1 },
        time: { type: 'string', format: 'date-time' },
        datacontenttype: { const: 'application/json' },
        data: dataSchema,
      },
    },
    examples: [
      {
        name: type.replaceAll(/[._]/g, '-'),
        summary,
        payload: {
          specversion: '1.0',
          id: 'an-id-that-is-the-same-when-it-is-said-again',
          source,
          type,
          subject: 'what-it-happened-to',
          time: '2026-01-05T09:30:00.000Z',
          datacontenttype: 'application/json',
          data: example,
        },
      },
    ],
  };
}
