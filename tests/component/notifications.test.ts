import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/notifications/app.ts';
import type { Order } from '../../services/orders/contract.ts';
import { buildEvent } from '../support/events.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ADA = { user_id: randomUUID(), email: 'ada@example.com', name: 'Ada', role: 'customer' };

const buildOrder = (more: Partial<Order> = {}): Order => ({
  order_id: randomUUID(),
  customer_id: ADA.user_id,
  status: 'PAID',
  items: [{ product_id: 'mug-blue', name: 'Blue mug', quantity: 2, unit_price: 1250 }],
  total: 2500,
  currency: 'EUR',
  version: 3,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:01.000Z',
  ...more,
});

let service: ServiceUnderTest;
beforeEach(
  async () =>
    void (service = await startService((deps) => createApp({ ...deps, bindings: ['email', 'email-2'] }))),
);
afterEach(() => service.stop());

interface SentMail {
  data: string;
  metadata: { emailTo: string; subject: string };
}

const mails = () =>
  service.sidecar.calls
    .filter(({ target }) => target.startsWith('email'))
    .map(({ body }) => body as SentMail)
    .map(({ data, metadata }) => ({ to: metadata.emailTo, subject: metadata.subject, html: data }));
const subjects = () => mails().map(({ subject }) => subject);

const registered = (user: object = {}, version = 1) =>
  service.deliver('user.registered', { user: { ...ADA, ...user }, version });
const updated = (user: object, version: number) =>
  service.deliver('user.updated', { user: { ...ADA, ...user }, version });
const deleted = (version: number) => service.deliver('user.deleted', { user_id: ADA.user_id, version });
const told = (type: string, order: Order) => service.deliver(type, { order });

describe('Who is known', () => {
  it('When a user registers, then a welcome goes to the address', async () => {
    expect(await registered()).toBe('SUCCESS');
    expect(mails()).toEqual([
      { to: ADA.email, subject: 'Welcome', html: expect.stringContaining('Hello Ada') },
    ]);
  });

  it('When the registration comes twice, then there is one welcome', async () => {
    await registered();
    expect(await registered()).toBe('SUCCESS');
    expect(mails()).toHaveLength(1);
  });

  it('When the address changes, then the next mail goes to the new one', async () => {
    await registered();
    await updated({ email: 'new@example.com' }, 2);
    await told('order.paid', buildOrder());
    expect(mails().map(({ to }) => to)).toEqual([ADA.email, 'new@example.com']);
  });

  it('When an older message comes late, then the newer address stays', async () => {
    await updated({ email: 'newest@example.com' }, 3);
    await updated({ email: 'new@example.com' }, 2);
    await registered();
    expect(mails().map(({ to }) => to)).toEqual(['newest@example.com']);
  });

  it('When a change comes, then it alone sends no mail', async () => {
    await updated({ name: 'Ada L.' }, 2);
    expect(mails()).toEqual([]);
  });

  it('When the user is deleted, then nothing of the person stays', async () => {
    await registered();
    expect(await deleted(2)).toBe('SUCCESS');
    const stored = JSON.stringify([...service.sidecar.documents]);
    for (const trace of [ADA.email, 'Ada']) expect(stored).not.toContain(trace);
  });

  it('When older messages come after the deletion, then nothing is sent and the address does not come back', async () => {
    await deleted(3);
    expect([await registered(), await updated({}, 2), await told('order.paid', buildOrder())]).toEqual([
      'SUCCESS',
      'SUCCESS',
      'SUCCESS',
    ]);
    expect(mails()).toEqual([]);
    expect(JSON.stringify([...service.sidecar.documents])).not.toContain(ADA.email);
  });

  it('When messages about one user come at once, then the highest version wins', async () => {
    await Promise.all([4, 2, 3].map((version) => updated({ email: `v${version}@example.com` }, version)));
    await told('order.paid', buildOrder());
    expect(mails().map(({ to }) => to)).toEqual(['v4@example.com']);
  });
});

describe('Mails about an account', () => {
  const change = (more: object, user: object = {}, version = 2) =>
    service.deliver('user.updated', { user: { ...ADA, ...user }, version, ...more });
  const NEW = { email: 'new@example.com' };
  const notices = () =>
    mails()
      .map(({ to, html }) => [to, ...(html.match(/The [^.]* was changed/g) ?? [])])
      .toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1));
  const ADDRESS = 'The e-mail address of your account was changed';
  const PASSWORD = 'The password of your account was changed';

  it('When the address changes, then one mail goes to each, however often the message comes', async () => {
    for (let time = 0; time < 3; time++)
      expect(await change({ previous_email: ADA.email }, NEW)).toBe('SUCCESS');
    expect(notices()).toEqual([
      [ADA.email, ADDRESS],
      [NEW.email, ADDRESS],
    ]);
    expect(new Set(subjects())).toEqual(new Set(['Your account has changed']));
  });

  it('When the password changes, then one mail goes to the address', async () => {
    await change({ password_changed: true });
    await change({ password_changed: true });
    expect(notices()).toEqual([[ADA.email, PASSWORD]]);
  });

  it('When both change, then each address is told of both', async () => {
    await change({ previous_email: ADA.email, password_changed: true }, NEW);
    expect(notices()).toEqual([
      [ADA.email, ADDRESS, PASSWORD],
      [NEW.email, ADDRESS, PASSWORD],
    ]);
  });

  it('When the address changes twice and the first message comes last, then every address is told', async () => {
    await change({ previous_email: NEW.email }, { email: 'newest@example.com' }, 3);
    await change({ previous_email: ADA.email }, NEW, 2);
    expect(
      mails()
        .map(({ to }) => to)
        .toSorted(),
    ).toEqual([ADA.email, NEW.email, NEW.email, 'newest@example.com'].toSorted());
  });

  it('When one of two mails cannot be sent, then the message comes again, and the other is not sent twice', async () => {
    service.sidecar.fail('send');
    expect(await change({ previous_email: ADA.email }, NEW)).toBe('RETRY');
    expect(await change({ previous_email: ADA.email }, NEW)).toBe('SUCCESS');
    expect(
      mails()
        .map(({ to }) => to)
        .toSorted(),
    ).toEqual([ADA.email, NEW.email]);
  });

  it('When the account was deleted meanwhile, then its address is still told, and not kept', async () => {
    await deleted(3);
    await change({ previous_email: ADA.email }, NEW);
    expect(mails().map(({ to }) => to)).toContain(ADA.email);
    const kept = JSON.stringify([...service.sidecar.documents]);
    for (const address of [ADA.email, NEW.email]) expect(kept).not.toContain(address);
  });
});

describe('Mails about an order', () => {
  beforeEach(async () => {
    await registered();
    service.sidecar.calls.length = 0;
  });

  it.each([
    ['order.paid', 'Your order is confirmed', {}],
    ['order.payment_failed', 'Your payment did not go through', { reason: 'card declined' }],
    ['order.shipped', 'Your order is on its way', { tracking_number: 'SC123' }],
    ['order.cancelled', 'Your order is cancelled', { reason: 'changed my mind' }],
    ['order.rejected', 'We cannot fill your order', { reason: 'not enough of mug-blue' }],
    ['order.expired', 'Your order has expired', {}],
    ['order.refunded', 'Your order is refunded', { status: 'DELIVERED', refunded: 2500 }],
  ] as [string, string, Partial<Order>][])(
    'When %s comes, twice, then one mail says so',
    async (type, subject, more) => {
      const order = buildOrder(more);
      expect([await told(type, order), await told(type, order)]).toEqual(['SUCCESS', 'SUCCESS']);
      expect(subjects()).toEqual([subject]);
      const { reason = '', tracking_number = '' } = order;
      for (const detail of [order.order_id, 'Blue mug', '€25.00', reason, tracking_number])
        expect(mails()[0]?.html).toContain(detail);
    },
  );

  it('When an order is paid and shipped, then there is a mail of each', async () => {
    const order = buildOrder();
    await told('order.shipped', order);
    await told('order.paid', order);
    expect(subjects()).toEqual(['Your order is on its way', 'Your order is confirmed']);
  });

  it.each(['order.created', 'order.delivered', 'payment.requested'])(
    'When %s comes, then nothing listens',
    async (type) => {
      const response = await service.http
        .post(`/events/${type}`)
        .send(buildEvent(type, { order: buildOrder() }));
      expect(response.status).toBe(404);
    },
  );

  it('When the customer is not known yet, then the message comes again and the mail goes out then', async () => {
    const order = buildOrder({ customer_id: randomUUID() });
    expect(await told('order.paid', order)).toBe('RETRY');
    await registered({ user_id: order.customer_id, email: 'eve@example.com' });
    expect(await told('order.paid', order)).toBe('SUCCESS');
    expect(mails().map(({ to, subject }) => [to, subject])).toEqual([
      ['eve@example.com', 'Welcome'],
      ['eve@example.com', 'Your order is confirmed'],
    ]);
  });

  it('When the mail server is out of reach, then the message comes again and the mail goes out then', async () => {
    const order = buildOrder();
    service.sidecar.fail('send');
    expect(await told('order.paid', order)).toBe('RETRY');
    expect(mails()).toEqual([]);
    expect(await told('order.paid', order)).toBe('SUCCESS');
    expect(subjects()).toEqual(['Your order is confirmed']);
  });

  it('When the store is out of reach, then no mail goes out and the message comes again', async () => {
    service.sidecar.fail('state');
    expect(await told('order.paid', buildOrder())).toBe('RETRY');
    expect(mails()).toEqual([]);
  });

  it('When a mail was sent and could not be remembered, then it is remembered later, and not sent again', async () => {
    const order = buildOrder();
    let refusals = 3;
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write' && refusals-- > 0) throw new Error('away');
    });
    for (const outcome of ['RETRY', 'RETRY', 'RETRY', 'SUCCESS', 'SUCCESS'])
      expect(await told('order.paid', order)).toBe(outcome);
    expect(mails()).toHaveLength(1);
    expect([...service.sidecar.documents.keys()]).toContain(`mail:${order.order_id}:order.paid`);
  });

  it('When two replicas have the message at once, then both have done their part', async () => {
    const order = buildOrder();
    expect(await Promise.all([told('order.paid', order), told('order.paid', order)])).toEqual([
      'SUCCESS',
      'SUCCESS',
    ]);
    expect(await told('order.paid', order)).toBe('SUCCESS');
    expect(mails().length).toBeLessThanOrEqual(2);
  });

  it('When a mail was sent, then it is counted by its kind', async () => {
    await told('order.paid', buildOrder());
    const { text } = await service.http.get('/metrics');
    expect(text).toContain('emails_sent_total{kind="order.paid"} 1');
  });

  it('When a mail was sent, then neither address nor content is kept or logged', async () => {
    await told('order.cancelled', buildOrder({ reason: 'changed my mind' }));
    const kept = [...service.sidecar.documents].filter(([key]) => key.startsWith('mail:'));
    for (const trace of [ADA.email, 'changed my mind'])
      expect(JSON.stringify([kept, service.logs])).not.toContain(trace);
  });

  it('When a mail is sent, then the log lines name the order', async () => {
    const order = buildOrder();
    await told('order.paid', order);
    expect(service.logs.at(-1)).toMatchObject({ order_id: order.order_id, msg: 'request completed' });
  });
});

describe('Many mails at once', () => {
  it('When they come together, then each binding sends one after the other, each to its own address', async () => {
    const others = Array.from({ length: 5 }, (_, n) => ({
      user_id: randomUUID(),
      email: `n${n}@example.com`,
    }));
    await Promise.all(others.map((other) => registered(other)));
    expect(Object.fromEntries(service.sidecar.maxConcurrentSends)).toEqual({ email: 1, 'email-2': 1 });
    expect(
      mails()
        .map(({ to }) => to)
        .toSorted(),
    ).toEqual(others.map(({ email }) => email));
  });

  it('When the same message comes twice at once, then one mail is sent', async () => {
    await Promise.all([registered(), registered()]);
    expect(mails()).toHaveLength(1);
  });
});

describe('Messages that never will do', () => {
  it.each([
    ['user.registered', {}],
    ['user.registered', { user: { ...ADA, email: 'ada' }, version: 1 }],
    ['user.updated', { user: ADA }],
    ['user.deleted', { user_id: 'ada', version: 2 }],
    ['order.paid', {}],
    ['order.paid', { order: { ...buildOrder(), total: '25' } }],
    ['order.shipped', 'shipped'],
  ])('When %s comes with %j, then it goes to the dead letters', async (type, data) => {
    const before = service.sidecar.documents.size;
    expect(await service.deliver(type, data)).toBe('DROP');
    expect(service.sidecar.documents.size).toBe(before);
    expect(mails()).toEqual([]);
  });
});
