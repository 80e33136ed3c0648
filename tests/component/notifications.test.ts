import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/notifications/app.ts';
import { createEmailSender, type SendEmailOnce } from '../../services/notifications/email-sender.ts';
import type { Order } from '../../services/orders/contract.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { runInRequest } from '../../services/shared/telemetry/request-context.ts';
import { buildEvent } from '../support/events.ts';
import { createSidecarClient, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

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
const deliverOrderEvent = (type: string, order: Order) => service.deliver(type, { order });

describe('Known recipients', () => {
  it('When a user registers, then the address gets a welcome e-mail', async () => {
    expect(await registered()).toBe('SUCCESS');
    expect(mails()).toEqual([
      { to: ADA.email, subject: 'Welcome', html: expect.stringContaining('Hello Ada') },
    ]);
  });

  it('When the registration is redelivered, then there is one welcome e-mail', async () => {
    await registered();
    expect(await registered()).toBe('SUCCESS');
    expect(mails()).toHaveLength(1);
  });

  it('When the address changes, then the next e-mail goes to the new one', async () => {
    await registered();
    await updated({ email: 'new@example.com' }, 2);
    await deliverOrderEvent('order.paid', buildOrder());
    expect(mails().map(({ to }) => to)).toEqual([ADA.email, 'new@example.com']);
  });

  it('When an older event arrives late, then the newer address stays', async () => {
    await updated({ email: 'newest@example.com' }, 3);
    await updated({ email: 'new@example.com' }, 2);
    await registered();
    expect(mails().map(({ to }) => to)).toEqual(['newest@example.com']);
  });

  it('When another field changes, then no e-mail is sent', async () => {
    await updated({ name: 'Ada L.' }, 2);
    expect(mails()).toEqual([]);
  });

  it('When the user is deleted, then no personal data remains', async () => {
    await registered();
    expect(await deleted(2)).toBe('SUCCESS');
    const stored = JSON.stringify([...service.sidecar.documents]);
    for (const trace of [ADA.email, 'Ada']) expect(stored).not.toContain(trace);
  });

  it('When older events arrive after the deletion, then nothing is sent or saved', async () => {
    await deleted(3);
    expect([
      await registered(),
      await updated({}, 2),
      await deliverOrderEvent('order.paid', buildOrder()),
    ]).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
    expect(mails()).toEqual([]);
    expect(JSON.stringify([...service.sidecar.documents])).not.toContain(ADA.email);
  });

  it('When events about one user arrive at once, then the highest version wins', async () => {
    await Promise.all([4, 2, 3].map((version) => updated({ email: `v${version}@example.com` }, version)));
    await deliverOrderEvent('order.paid', buildOrder());
    expect(mails().map(({ to }) => to)).toEqual(['v4@example.com']);
  });
});

describe('E-mails about an account', () => {
  const change = (more: object, user: object = {}, version = 2) =>
    service.deliver('user.updated', { user: { ...ADA, ...user }, version, ...more });
  const NEW = { email: 'new@example.com' };
  const notices = () =>
    mails()
      .map(({ to, html }) => [to, ...(html.match(/The [^.]* was changed/g) ?? [])])
      .toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1));
  const ADDRESS = 'The e-mail address of your account was changed';
  const PASSWORD = 'The password of your account was changed';

  it('When the address changes, then both addresses get one e-mail, however often the event is delivered', async () => {
    for (let time = 0; time < 3; time++)
      expect(await change({ previous_email: ADA.email }, NEW)).toBe('SUCCESS');
    expect(notices()).toEqual([
      [ADA.email, ADDRESS],
      [NEW.email, ADDRESS],
    ]);
    expect(new Set(subjects())).toEqual(new Set(['Your account has changed']));
  });

  it('When the password changes, then the address gets one e-mail', async () => {
    await change({ password_changed: true });
    await change({ password_changed: true });
    expect(notices()).toEqual([[ADA.email, PASSWORD]]);
  });

  it('When both change, then both addresses get an e-mail about both', async () => {
    await change({ previous_email: ADA.email, password_changed: true }, NEW);
    expect(notices()).toEqual([
      [ADA.email, ADDRESS, PASSWORD],
      [NEW.email, ADDRESS, PASSWORD],
    ]);
  });

  it('When the address changes twice and the first event arrives last, then every address gets an e-mail', async () => {
    await change({ previous_email: NEW.email }, { email: 'newest@example.com' }, 3);
    await change({ previous_email: ADA.email }, NEW, 2);
    expect(
      mails()
        .map(({ to }) => to)
        .toSorted(),
    ).toEqual([ADA.email, NEW.email, NEW.email, 'newest@example.com'].toSorted());
  });

  it('When one of two e-mails fails, then the event is redelivered, and the other one is not sent twice', async () => {
    service.sidecar.fail('send');
    expect(await change({ previous_email: ADA.email }, NEW)).toBe('RETRY');
    expect(await change({ previous_email: ADA.email }, NEW)).toBe('SUCCESS');
    expect(
      mails()
        .map(({ to }) => to)
        .toSorted(),
    ).toEqual([ADA.email, NEW.email]);
  });

  it('When the account was deleted meanwhile, then its address still gets the e-mail and is not saved', async () => {
    await deleted(3);
    await change({ previous_email: ADA.email }, NEW);
    expect(mails().map(({ to }) => to)).toContain(ADA.email);
    const stored = JSON.stringify([...service.sidecar.documents]);
    for (const address of [ADA.email, NEW.email]) expect(stored).not.toContain(address);
  });
});

describe('E-mails about an order', () => {
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
    'When %s is delivered twice, then one e-mail is sent',
    async (type, subject, more) => {
      const order = buildOrder(more);
      expect([await deliverOrderEvent(type, order), await deliverOrderEvent(type, order)]).toEqual([
        'SUCCESS',
        'SUCCESS',
      ]);
      expect(subjects()).toEqual([subject]);
      const { reason = '', tracking_number = '' } = order;
      for (const detail of [order.order_id, 'Blue mug', '€25.00', reason, tracking_number])
        expect(mails()[0]?.html).toContain(detail);
    },
  );

  it.each([
    ['return.requested', 'We have your return request'],
    ['return.approved', 'Your return is approved'],
    ['return.received', 'Your parcel has arrived'],
    ['return.refunded', 'Your return is refunded'],
    ['return.rejected', 'We cannot accept your return'],
    ['return.cancelled', 'Your return is cancelled'],
    ['return.expired', 'Your return has expired'],
  ])('When %s is delivered twice, then one e-mail is sent', async (type, subject) => {
    const { customer_id, order_id } = buildOrder();
    const time = '2026-01-12T09:30:00.000Z';
    const returned = {
      return_id: order_id,
      order_id,
      customer_id,
      status: 'APPROVED',
      items: [{ product_id: 'mug', name: 'Blue mug', quantity: 1, unit_price: 2500 }],
      total: 2500,
      currency: 'EUR',
      label: 'RT123',
      received: [],
      version: 2,
      created_at: time,
      updated_at: time,
    };
    for (let delivery = 0; delivery < 2; delivery++)
      expect(await service.deliver(type, { return: returned, order_refunded: 2500 })).toBe('SUCCESS');
    expect(subjects()).toEqual([subject]);
    for (const detail of [order_id, 'Blue mug']) expect(mails()[0]?.html).toContain(detail);
  });

  it('When an order is paid and shipped, then there is an e-mail about each', async () => {
    const order = buildOrder();
    await deliverOrderEvent('order.shipped', order);
    await deliverOrderEvent('order.paid', order);
    expect(subjects()).toEqual(['Your order is on its way', 'Your order is confirmed']);
  });

  it.each(['order.created', 'order.delivered', 'payment.requested'])(
    'When %s is delivered, then there is no handler',
    async (type) => {
      const response = await service.http
        .post(`/events/${type}`)
        .send(buildEvent(type, { order: buildOrder() }));
      expect(response.status).toBe(404);
    },
  );

  it('When the customer is unknown, then the event is redelivered and the e-mail is sent then', async () => {
    const order = buildOrder({ customer_id: randomUUID() });
    expect(await deliverOrderEvent('order.paid', order)).toBe('RETRY');
    await registered({ user_id: order.customer_id, email: 'eve@example.com' });
    expect(await deliverOrderEvent('order.paid', order)).toBe('SUCCESS');
    expect(mails().map(({ to, subject }) => [to, subject])).toEqual([
      ['eve@example.com', 'Welcome'],
      ['eve@example.com', 'Your order is confirmed'],
    ]);
  });

  it('When the mail server is unavailable, then the event is redelivered and the e-mail is sent then', async () => {
    const order = buildOrder();
    service.sidecar.fail('send');
    expect(await deliverOrderEvent('order.paid', order)).toBe('RETRY');
    expect(mails()).toEqual([]);
    expect(await deliverOrderEvent('order.paid', order)).toBe('SUCCESS');
    expect(subjects()).toEqual(['Your order is confirmed']);
  });

  it('When the store is unavailable, then no e-mail is sent and the event is redelivered', async () => {
    service.sidecar.fail('state');
    expect(await deliverOrderEvent('order.paid', buildOrder())).toBe('RETRY');
    expect(mails()).toEqual([]);
  });

  it('When an e-mail was sent and could not be recorded, then it is recorded later, and not sent again', async () => {
    const order = buildOrder();
    let refusals = 3;
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write' && refusals-- > 0) throw new Error('away');
    });
    for (const outcome of ['RETRY', 'RETRY', 'RETRY', 'SUCCESS', 'SUCCESS'])
      expect(await deliverOrderEvent('order.paid', order)).toBe(outcome);
    expect(mails()).toHaveLength(1);
    expect([...service.sidecar.documents.keys()]).toContain(`mail:${order.order_id}:order.paid`);
  });

  it('When two replicas get the event at once, then both acknowledge it', async () => {
    const order = buildOrder();
    expect(
      await Promise.all([deliverOrderEvent('order.paid', order), deliverOrderEvent('order.paid', order)]),
    ).toEqual(['SUCCESS', 'SUCCESS']);
    expect(await deliverOrderEvent('order.paid', order)).toBe('SUCCESS');
    expect(mails().length).toBeLessThanOrEqual(2);
  });

  it('When an e-mail was sent, then it is counted by its kind and outcome', async () => {
    await deliverOrderEvent('order.paid', buildOrder());
    const { text } = await service.http.get('/metrics');
    expect(text).toContain('emails_total{kind="order.paid",outcome="sent"} 1');
  });

  it('When an e-mail was sent, then neither address nor content is saved or logged', async () => {
    await deliverOrderEvent('order.cancelled', buildOrder({ reason: 'changed my mind' }));
    const stored = [...service.sidecar.documents].filter(([key]) => key.startsWith('mail:'));
    for (const trace of [ADA.email, 'changed my mind'])
      expect(JSON.stringify([stored, service.logs])).not.toContain(trace);
  });

  it('When an e-mail is sent, then the log lines have the order id', async () => {
    const order = buildOrder();
    await deliverOrderEvent('order.paid', order);
    expect(service.logs.at(-1)).toMatchObject({ order_id: order.order_id, msg: 'request completed' });
  });
});

describe('Many e-mails at once', () => {
  it('When they come at once, then each binding sends one at a time, each to its own address', async () => {
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

  it('When the same event is delivered twice at once, then one e-mail is sent', async () => {
    await Promise.all([registered(), registered()]);
    expect(mails()).toHaveLength(1);
  });
});

describe('The calls of the sidecar', () => {
  const BINDINGS = ['email', 'email-2', 'email-3', 'email-4'];
  const stateCalls: string[] = [];
  let sidecar: Sidecar;
  let sendEmailOnce: SendEmailOnce;
  const eve = { user_id: randomUUID(), email: 'eve@example.com' };

  beforeEach(async () => {
    await registered();
    await registered(eve);
    service.sidecar.calls.length = 0;
    sidecar = createSidecarClient(service.sidecar.port);
    sendEmailOnce = createEmailSender({ sidecar, metrics: createMetrics(), bindings: BINDINGS });
    stateCalls.length = 0;
    service.sidecar.onStateCall(({ op, keys }) => void stateCalls.push(`${op} ${keys.length}`));
  });
  afterEach(() => sidecar.close());

  const send = (recipientId: string, subjectId: string = randomUUID()) =>
    sendEmailOnce({
      kind: 'order.paid',
      subjectId,
      recipientId,
      write: ({ name }) => ({ subject: 'Hello', html: name }),
    });
  const outcomes = async (sending: Promise<void>[]) =>
    (await Promise.allSettled(sending)).map(({ status }) => status);

  it('When an e-mail comes alone, then it takes three calls', async () => {
    await send(ADA.user_id);
    expect(stateCalls).toEqual(['read 2', 'write 1']);
    expect(mails()).toHaveLength(1);
  });

  it('When two e-mails come together, then they take four calls, two of them of the bindings', async () => {
    await Promise.all([send(ADA.user_id), send(eve.user_id)]);
    expect(stateCalls).toEqual(['read 4', 'write 2']);
    expect(new Set(mails().map(({ to }) => to))).toEqual(new Set([ADA.email, eve.email]));
  });

  it('When more come together than there are bindings, then each binding sends one at a time', async () => {
    await Promise.all(Array.from({ length: 10 }, () => send(ADA.user_id)));
    expect(stateCalls).toEqual(['read 5', 'write 4', 'read 5', 'write 4', 'read 3', 'write 2']);
    expect(mails()).toHaveLength(10);
    expect([...service.sidecar.maxConcurrentSends.values()]).toEqual(BINDINGS.map(() => 1));
  });

  it('When two of different traces come together, then each is sent in its own trace', async () => {
    const traces = ['0af7651916cd43dd8448eb211c80319c', '1bf7651916cd43dd8448eb211c80319c'];
    await Promise.all(
      traces.map((trace) =>
        runInRequest({ traceparent: `00-${trace}-b7ad6b7169203331-01` }, { request_id: trace }, () =>
          send(ADA.user_id),
        ),
      ),
    );
    const sent = service.sidecar.calls.map(({ headers }) => String(headers['traceparent']).split('-')[1]);
    expect(new Set(sent)).toEqual(new Set(traces));
  });

  it('When one of several has an unknown or deleted recipient, then the others are sent', async () => {
    await deleted(2);
    const sending = [send(randomUUID()), send(ADA.user_id), send(eve.user_id)];
    expect(await outcomes(sending)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(mails().map(({ to }) => to)).toEqual([eve.email]);
  });

  it('When the mail server refuses one of several, then only this one fails', async () => {
    service.sidecar.fail('send');
    const sent = (await outcomes([send(ADA.user_id), send(eve.user_id)])).filter(
      (one) => one === 'fulfilled',
    );
    expect([sent.length, mails().length]).toEqual([1, 1]);
  });

  it('When the records of sent e-mails cannot be saved, then the e-mails fail and are not sent again', async () => {
    let refusals = 1;
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write' && refusals-- > 0) throw new Error('away');
    });
    const orders = [randomUUID(), randomUUID()];
    const sendAll = () => outcomes(orders.map((order) => send(ADA.user_id, order)));
    expect(await sendAll()).toEqual(['rejected', 'rejected']);
    expect(await sendAll()).toEqual(['fulfilled', 'fulfilled']);
    expect(mails()).toHaveLength(2);
  });

  it('When a bulk read answers without documents, then a sent e-mail is not sent again', async () => {
    const order = randomUUID();
    await send(ADA.user_id, order);
    const kept = new Map(service.sidecar.documents);
    // As daprd does when its connection to PostgreSQL breaks.
    service.sidecar.onStateCall(({ op, keys }) => {
      if (op === 'read' && keys.length > 1) service.sidecar.documents.clear();
      else for (const [key, document] of kept) service.sidecar.documents.set(key, document);
    });
    await send(ADA.user_id, order);
    expect(mails()).toHaveLength(1);
  });

  it('When too many e-mails wait, then those fail that would wait too long', async () => {
    service.sidecar.onStateCall(() => new Promise((resolve) => void setTimeout(resolve, 3_000)));
    const sending = Array.from({ length: 12 }, () => send(ADA.user_id));
    const sent = (await outcomes(sending)).filter((one) => one === 'fulfilled').length;
    expect(sent).toBeLessThan(12);
    expect(mails()).toHaveLength(sent);
  });
});

describe('Events that no retry can process', () => {
  it.each([
    ['user.registered', {}],
    ['user.registered', { user: { ...ADA, email: 'ada' }, version: 1 }],
    ['user.updated', { user: ADA }],
    ['user.deleted', { user_id: 'ada', version: 2 }],
    ['order.paid', {}],
    ['order.paid', { order: { ...buildOrder(), total: '25' } }],
    ['order.shipped', 'shipped'],
  ])('When %s arrives with %j, then it becomes a dead letter', async (type, data) => {
    const before = service.sidecar.documents.size;
    expect(await service.deliver(type, data)).toBe('DROP');
    expect(service.sidecar.documents.size).toBe(before);
    expect(mails()).toEqual([]);
  });
});
