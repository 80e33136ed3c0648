import { describe, expect, it } from 'vitest';
import { deadLetterOf, redrivable, redacted } from '../../services/history/domain/dead-letter.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

const buildEvent = (more: object = {}) => ({
  specversion: '1.0',
  id: 'order-1:1',
  source: 'orders',
  type: 'order.created',
  subject: 'order-1',
  time: '2026-01-01T00:00:00Z',
  data: { order: { order_id: 'order-1' } },
  ...more,
});
const id = (event: unknown) => letter(event).dead_letter_id;
const letter = (event: unknown) => deadLetterOf(event, NOW);

describe('the id of a dead letter', () => {
  it.each([
    [
      'the sidecar adds other marks',
      { traceparent: '00-1-1-01', topic: 'dead-letters', pubsubname: 'pubsub' },
    ],
    ['it came later', { time: '2026-02-01T00:00:00Z' }],
  ])('When an event is redelivered and %s, then the id is the same', (_, marks) => {
    expect(id(buildEvent(marks))).toBe(id(buildEvent()));
  });

  it.each([
    ['event id', { id: 'order-1:2' }],
    ['type', { type: 'order.paid' }],
    ['data', { data: {} }],
  ])('When the %s differs, then the id differs', (_, more) => {
    expect(id(buildEvent(more))).not.toBe(id(buildEvent()));
  });

  it.each([['text'], [17], [null], [['a']]])('When the message is %j, then it has a distinct id', (event) => {
    expect(id(event)).toMatch(/^[0-9a-f]{32}$/);
    expect(id(event)).not.toBe(id('another'));
  });
});

describe('the type of a dead letter', () => {
  it.each([
    ['its type', buildEvent({ topic: 'dead-letters' }), 'order.created'],
    ['its topic where the type is the sidecar’s own', wrapped('order.paid'), 'order.paid'],
    ['unknown where neither is ours', wrapped('dead-letters'), 'unknown'],
    ['unknown where it has none', { data: 1 }, 'unknown'],
    ['unknown where it is text', 'order.created', 'unknown'],
  ])('When it is requested, then it is %s', (_, event, type) => {
    expect(letter(event).type).toBe(type);
  });
});

function wrapped(topic: string) {
  return buildEvent({ type: 'com.dapr.event.sent', topic });
}

describe('events for redrive', () => {
  it('When it is an event of this system, then it can be redriven', () => {
    expect(redrivable(letter(buildEvent()))).toEqual(buildEvent());
  });

  it.each([
    ['is no CloudEvent', { type: 'order.created', data: {} }],
    ['has no id', buildEvent({ id: '' })],
    ['has another specversion', buildEvent({ specversion: '0.3' })],
    ['has an unknown type', buildEvent({ type: 'order.eaten' })],
    ['was wrapped by a sidecar', wrapped('order.paid')],
    ['is text', 'order.created'],
  ])('When it %s, then it cannot be redriven', (_, event) => {
    expect(redrivable(letter(event))).toBeUndefined();
  });
});

describe('displayed data', () => {
  const SECRET = 'tok_4711';
  it.each([
    ['a card token', { payment: { method: 'card', card_token: SECRET } }],
    ['a password', { user: { password: SECRET } }],
    ['an access token', [{ access_token: SECRET }]],
    ['an authorization', { headers: { Authorization: SECRET } }],
    ['JSON in a string', JSON.stringify({ card_token: SECRET })],
    ['a whole object under a secret name', { token: { value: SECRET } }],
    ['an e-mail address by its name', { user: { email: SECRET } }],
    ['the name of a user', { user: { name: SECRET } }],
    ['an e-mail address in a text', { reason: `write to ${SECRET}@example.com` }],
  ])('When %s is in the data, then it is hidden', (_, data) => {
    const event = redacted(letter(buildEvent({ data }))).event;
    expect(JSON.stringify(event)).not.toContain(SECRET);
    expect(event).toMatchObject({ id: 'order-1:1' });
  });

  it('When the data is base64, then a secret in it is hidden, too', () => {
    const data_base64 = Buffer.from(JSON.stringify({ card_token: SECRET })).toString('base64');
    expect(JSON.stringify(redacted(letter({ data_base64 })))).not.toContain(data_base64);
  });

  it('When the message is text, then a secret in it is hidden', () => {
    expect(redacted(letter(`card_token=${SECRET}`)).event).toBe('[redacted]');
  });

  it('When there is no secret, then the data is displayed unchanged', () => {
    expect(redacted(letter(buildEvent())).event).toEqual(buildEvent());
  });
});
