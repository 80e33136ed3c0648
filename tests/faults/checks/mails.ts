import type { OrderEventType } from '../../../services/orders/contract.ts';
import type { Mail } from '../../support/mails.ts';
import type { ReturnStatus } from '../../../services/returns/contract.ts';
import type { Check } from './check.ts';
import { statusesOf } from './returns.ts';

/** The subject of the e-mail about an event. */
const SUBJECT: Partial<Record<OrderEventType, string>> = {
  'order.paid': 'Your order is confirmed',
  'order.payment_failed': 'Your payment did not go through',
  'order.shipped': 'Your order is on its way',
  'order.cancelled': 'Your order is cancelled',
  'order.rejected': 'We cannot fill your order',
  'order.expired': 'Your order has expired',
  'order.refunded': 'Your order is refunded',
};

/** The subject of the e-mail about each status of a return. */
const RETURN_SUBJECT: Record<ReturnStatus, string> = {
  REQUESTED: 'We have your return request',
  APPROVED: 'Your return is approved',
  RECEIVED: 'Your parcel has arrived',
  REFUNDED: 'Your return is refunded',
  REJECTED: 'We cannot accept your return',
  CANCELLED: 'Your return is cancelled',
  EXPIRED: 'Your return has expired',
};

export const mailsAreSent: Check = {
  name: 'e-mails',
  promise:
    'The customer got one e-mail per relevant event, two at most. No e-mail is about another event or went to another customer.',
  async verify({ mails, orders, returns, users }) {
    const response = await fetch(`${mails}/email`, { signal: AbortSignal.timeout(60_000) });
    const sent = new Map<string, number>();
    const violations: string[] = [];
    const addressOf = new Map(users.customers.map(({ userId, email }) => [userId, email]));
    const addresses = new Set(addressOf.values());
    for (const { subject, html, to } of (await response.json()) as Mail[]) {
      const id = /Order ([0-9a-f-]{36})/.exec(html)?.[1];
      const isToCustomer = to.some(({ address }) => addresses.has(address));
      if (id === undefined || !isToCustomer) continue; // a welcome, or of another experiment
      const order = orders.get(id)?.order;
      const recipient = order && addressOf.get(order.customer_id);
      if (!recipient || to.length !== 1 || to[0]?.address !== recipient)
        violations.push(`"${subject}" about order ${id} was sent to another address`);
      const returnId = /Return ([0-9a-f-]{36})/.exec(html)?.[1];
      const kind = `${returnId ?? id} ${subject}`;
      sent.set(kind, (sent.get(kind) ?? 0) + 1);
    }
    let verified = 0;
    const expect = (id: string, subject: string | undefined) => {
      if (subject === undefined) return;
      const kind = `${id} ${subject}`;
      const times = sent.get(kind) ?? 0;
      verified += 1;
      if (times < 1 || times > 2) violations.push(`"${subject}" about ${id} was sent ${times} times`);
      sent.delete(kind);
    };
    for (const [id, { events }] of orders) for (const type of events) expect(id, SUBJECT[type]);
    for (const one of [...returns.values()].flat())
      for (const status of statusesOf(one)) expect(one.return_id, RETURN_SUBJECT[status]);
    for (const kind of sent.keys()) violations.push(`e-mail about an event that did not happen: ${kind}`);
    return { verified, violations };
  },
};
