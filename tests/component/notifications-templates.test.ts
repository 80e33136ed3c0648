import { describe, expect, it } from 'vitest';
import * as templates from '../../services/notifications/domain/templates.ts';
import { html } from '../../services/notifications/domain/html.ts';
import { isNewer } from '../../services/notifications/domain/recipient.ts';
import type { Order } from '../../services/orders/contract.ts';

const ADA = { user_id: 'u1', email: 'ada@example.com', name: 'Ada', version: 1 };

const buildOrder = (more: Partial<Order> = {}): Order => ({
  order_id: 'o1',
  customer_id: 'u1',
  status: 'PAID',
  items: [
    { product_id: 'mug-blue', name: 'Blue mug', quantity: 2, unit_price: 1250 },
    { product_id: 'tea', name: 'Tea', quantity: 1, unit_price: 499 },
  ],
  total: 2999,
  currency: 'EUR',
  version: 3,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  ...more,
});

/** The text that a mail client without HTML shows. */
const textOf = (mail: templates.Mail) =>
  mail.html
    .replace(/<head>.*<\/head>/s, '')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();

const ORDER_TEMPLATES = [
  templates.orderConfirmation,
  templates.paymentFailed,
  templates.shipped,
  templates.cancelled,
  templates.rejected,
  templates.expired,
  templates.refunded,
];

const accountChanged = (recipient: typeof ADA) =>
  templates.accountChanged(recipient, { email: true, password: true }, true);

describe('The e-mails', () => {
  it('When an order is confirmed, then the text has lines and total', () => {
    expect(textOf(templates.orderConfirmation(ADA, buildOrder()))).toBe(
      'Your order is confirmed Hello Ada, Thank you for your order. Your payment was successful, and we are preparing your parcel. ' +
        'Order o1 2 × Blue mug: €25.00 1 × Tea: €4.99 Total: €29.99 Your shop',
    );
  });

  it('When an order is in forints, then its e-mail has their two digits', () => {
    const items = [{ product_id: 'tea', name: 'Tea', quantity: 2, unit_price: 64_500 }];
    const text = textOf(
      templates.orderConfirmation(ADA, buildOrder({ items, total: 129_000, currency: 'HUF' })),
    );
    expect(text.replaceAll('\u00a0', ' ')).toContain('Total: HUF 1,290.00');
  });

  it('When an order is shipped, then the text has the tracking number', () => {
    const mail = templates.shipped(ADA, buildOrder({ tracking_number: 'SC-1' }));
    expect(textOf(mail)).toContain('Tracking number: SC-1');
  });

  it('When an order is refunded, then the text has the amount', () => {
    expect(textOf(templates.refunded(ADA, buildOrder({ refunded: 2999 })))).toContain(
      'refunded €29.99 to your card',
    );
  });

  it('When there is no tracking number or reason, then the text has no gap', () => {
    for (const template of ORDER_TEMPLATES)
      expect(textOf(template(ADA, buildOrder()))).not.toMatch(/undefined|Tracking|Reason/);
  });

  it.each([templates.paymentFailed, templates.cancelled, templates.rejected])(
    'When there is a reason, then the text has it',
    (template) => {
      expect(textOf(template(ADA, buildOrder({ reason: 'so it is' })))).toContain('Reason: so it is');
    },
  );

  it('When the e-mails are about different things, then each has its own subject', () => {
    const all = ORDER_TEMPLATES.map((template) => template(ADA, buildOrder()).subject);
    expect(new Set([...all, templates.welcome(ADA).subject, accountChanged(ADA).subject]).size).toBe(
      all.length + 2,
    );
  });

  it.each(ORDER_TEMPLATES)('When names and reasons have HTML, then it is escaped', (template) => {
    const evil = `<img src=x onerror="alert('1')">&`;
    const order = buildOrder({ reason: evil, tracking_number: evil });
    const items = [{ product_id: 'x', name: evil, quantity: 1, unit_price: 1 }];
    const { html: document } = template({ ...ADA, name: evil }, { ...order, items });
    expect(document).not.toContain('<img');
    expect(document).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;');
  });

  it.each([...ORDER_TEMPLATES, templates.welcome, accountChanged])(
    'When names and reasons have line breaks or HTML, then the subject is the same',
    (template) => {
      const texts = ['You won!\r\nBcc: eve@example.com', '=?utf-8?b?V29uIQ==?='];
      const subjects = texts.map(
        (text) => template({ ...ADA, name: text }, buildOrder({ reason: text })).subject,
      );
      expect(new Set(subjects)).toEqual(new Set([template(ADA, buildOrder()).subject]));
      expect(subjects.join()).toMatch(/^[A-Z][A-Za-z ,]+$/);
    },
  );

  it.each([...ORDER_TEMPLATES, templates.welcome, accountChanged])(
    'When a name or a reason looks like a link, then no mail program renders a link',
    (template) => {
      const links = 'https://spam.example/x www.spam.example eve@spam.example';
      const { html: document } = template({ ...ADA, name: links }, buildOrder({ reason: links }));
      expect(document).not.toMatch(/:\/|\/\/|www\.spam|spam\.example|@spam/);
      expect(document.replaceAll('\u200b', '')).toContain(`Hello ${links},`);
    },
  );

  it.each([
    [{ email: true, password: false }, true, 'e-mail address of your account was changed. We no longer'],
    [{ email: true, password: false }, false, 'e-mail address of your account was changed. We now send'],
    [{ email: false, password: true }, false, 'password of your account was changed. All other sessions'],
    [{ email: true, password: true }, true, 'e-mails to this address. The password of your account'],
  ])(
    'When %j has changed, for the previous address %s, then the e-mail says so',
    (change, isPrevious, text) => {
      expect(textOf(templates.accountChanged(ADA, change, isPrevious))).toContain(text);
    },
  );
});

describe('html', () => {
  it('When values are inserted, then text is escaped and HTML is not', () => {
    const inner = html`<b>${'a < b'}</b>`;
    expect(html`<p>${inner}${[inner, inner]}${1}</p>`.html).toBe(
      '<p><b>a &lt; b</b><b>a &lt; b</b>\n<b>a &lt; b</b>1</p>',
    );
  });
});

describe('isNewer', () => {
  const deleted = { user_id: 'u1', deleted: true, version: 3 } as const;
  it.each([
    [undefined, ADA, true],
    [ADA, ADA, false],
    [ADA, { ...ADA, version: 2 }, true],
    [{ ...ADA, version: 2 }, ADA, false],
    [ADA, deleted, true],
    [deleted, ADA, false],
    [undefined, deleted, true],
  ])('When %j is known and %j arrives, then it is newer: %s', (known, update, expected) => {
    expect(isNewer(known, update)).toBe(expected);
  });
});
