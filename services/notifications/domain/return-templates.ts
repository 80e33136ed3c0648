import type { Return } from '../../returns/contract.ts';
import { formatMoney } from '../../shared/schemas/money.ts';
import { html, type Html } from './html.ts';
import type { Addressee } from './recipient.ts';
import { mail, type Mail } from './templates.ts';

/** A return as its events have it, without the text of the customer. */
type PublishedReturn = Omit<Return, 'reason'>;

export type ReturnTemplate = (recipient: Addressee, returned: PublishedReturn) => Mail;

export const requested: ReturnTemplate = (recipient, returned) =>
  mail('We have your return request', recipient, [
    html`<p>We answer as soon as possible. Please do not send the parcel yet.</p>`,
    ...details(returned),
  ]);

export const approved: ReturnTemplate = (recipient, returned) =>
  mail('Your return is approved', recipient, [
    html`<p>
      Please send us the parcel, and write this number on it: <strong>${returned.label ?? ''}</strong>
    </p>`,
    ...(returned.expires_at === undefined
      ? []
      : [html`<p>The parcel must arrive by ${returned.expires_at.slice(0, 10)}.</p>`]),
    ...details(returned),
  ]);

export const received: ReturnTemplate = (recipient, returned) =>
  mail('Your parcel has arrived', recipient, [
    html`<p>We have received your return, and refund its price to your card.</p>`,
    ...details(returned),
  ]);

export const refunded: ReturnTemplate = (recipient, returned) =>
  mail('Your return is refunded', recipient, [
    html`<p>
      We have refunded <strong>${formatMoney(returned.refunded ?? 0, returned.currency)}</strong> to your
      card. Your bank may take a few days to show the refund.
    </p>`,
    ...details(returned),
  ]);

export const rejected: ReturnTemplate = (recipient, returned) =>
  mail('We cannot accept your return', recipient, [
    html`<p>We are sorry. We cannot accept your return. Contact us if you have a question.</p>`,
    ...details(returned),
  ]);

export const cancelled: ReturnTemplate = (recipient, returned) =>
  mail('Your return is cancelled', recipient, [
    html`<p>Your return is cancelled. Please do not send a parcel.</p>`,
    ...details(returned),
  ]);

export const expired: ReturnTemplate = (recipient, returned) =>
  mail('Your return has expired', recipient, [
    html`<p>Your parcel has not arrived in time, so your return has expired. You can request it again.</p>`,
    ...details(returned),
  ]);

/** What has arrived, or what the customer wants to return. */
function details({ return_id, order_id, items, received: arrived }: PublishedReturn): Html[] {
  const nameOf = (productId: string) =>
    items.find((item) => item.product_id === productId)?.name ?? productId;
  const lines = (arrived.length > 0 ? arrived : items).map(
    ({ product_id, quantity }) => html`<li>${quantity} × ${nameOf(product_id)}</li>`,
  );
  return [
    html`<p>Return ${return_id}</p>`,
    html`<p>Order ${order_id}</p>`,
    html`<ul>
      ${lines}
    </ul>`,
  ];
}
