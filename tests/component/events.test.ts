import express from 'express';
import request from 'supertest';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { onEvent, createSubscriptionRouter } from '../../services/shared/dapr/subscriptions.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { defineEvents } from '../../services/shared/schemas/published-events.ts';
import { buildEvent } from '../support/events.ts';

const events = defineEvents('kitchen', { 'soup.served': z.object({ plates: z.int() }) });
const SOUP = buildEvent('soup.served', { plates: 2 }, { source: 'kitchen' });

let received: unknown[];
let handle: (data: unknown) => Promise<void>;
beforeEach(() => {
  received = [];
  handle = async (data) => void received.push(data);
});

async function deliver(body: unknown): Promise<unknown> {
  const app = express();
  app.use(express.json({ type: () => true, strict: false }));
  app.use(
    createSubscriptionRouter({ log: createLogger('test', 'silent'), metrics: createMetrics() }, [
      onEvent(events, 'soup.served', (data) => handle(data)),
    ]),
  );
  const response = await request(app)
    .post('/events/soup.served')
    .set('content-type', 'application/cloudevents+json')
    .send(JSON.stringify(body));
  return (response.body as { status: unknown }).status;
}

describe('an event', () => {
  it.each([
    ['as its contract describes it', SOUP],
    ['with what a sidecar adds', { ...SOUP, topic: 'soup.served', pubsubname: 'pubsub', traceparent: '' }],
    ['with a time in another zone', { ...SOUP, time: '2026-01-01T01:00:00+01:00' }],
    ['with more members in its data, which are left out', { ...SOUP, data: { plates: 2, spoons: 2 } }],
  ])('When it comes %s, then it is received', async (_, event) => {
    expect(await deliver(event)).toBe('SUCCESS');
    expect(received).toEqual([{ plates: 2 }]);
  });

  it.each([
    ['from another service', { ...SOUP, source: 'guests' }],
    ['from a sidecar that wrapped it', { ...SOUP, source: 'Dapr', type: 'com.dapr.event.sent' }],
    ['without a source', { ...SOUP, source: undefined }],
    ['with another type', { ...SOUP, type: 'soup.eaten' }],
    ['with another specversion', { ...SOUP, specversion: '0.3' }],
    ['without a specversion', { ...SOUP, specversion: undefined }],
    ['with an empty id', { ...SOUP, id: '' }],
    ['with a number as its id', { ...SOUP, id: 7 }],
    ['without a subject', { ...SOUP, subject: undefined }],
    ['with an empty subject', { ...SOUP, subject: '' }],
    ['with a time that is none', { ...SOUP, time: 'yesterday' }],
    ['without a time', { ...SOUP, time: undefined }],
    ['as text', { ...SOUP, datacontenttype: 'text/plain', data: '{"plates":2}' }],
    ['without a datacontenttype', { ...SOUP, datacontenttype: undefined }],
    ['with data of another form', { ...SOUP, data: { plates: 'two' } }],
    ['without data', { ...SOUP, data: undefined }],
    ['with data in base64', { ...SOUP, data: undefined, data_base64: 'eyJwbGF0ZXMiOjJ9' }],
    ['as its data alone', { plates: 2 }],
    ['as a list', [SOUP]],
    ['as nothing', null],
  ])('When it comes %s, then it becomes a dead letter', async (_, event) => {
    expect(await deliver(event)).toBe('DROP');
    expect(received).toEqual([]);
  });

  it('When its handler fails for any reason, then it is redelivered', async () => {
    handle = async () => void z.string().parse(7);
    expect(await deliver(SOUP)).toBe('RETRY');
  });
});
