import type { Order } from '../../orders/contract.ts';
import { formatMoney } from '../../shared/schemas/money.ts';
import { html, type Html } from './html.ts';
import type { Addressee } from './recipient.ts';

export interface Mail {
  /** A fixed text without input of customers (services/decisions/0024-addresses-and-names.md). */
  subject: string;
  /** A complete document with plain headings, paragraphs and lists, so that the text version reads well. */
  html: string;
}

export type OrderTemplate = (recipient: Addressee, order: Order) => Mail;

export function welcome(recipient: Addressee): Mail {
  return mail('Welcome', recipient, [html`<p>Your account is ready. Log in with ${recipient.email}.</p>`]);
}

/** The changes of an account, at least one. */
export interface AccountChange {
  email: boolean;
  password: boolean;
}

/** @param isPrevious whether the recipient is the previous address of the account */
export function accountChanged(recipient: Addressee, change: AccountChange, isPrevious: boolean): Mail {
  return mail('Your account has changed', recipient, [
    ...(change.email
      ? [
          html`<p>The e-mail address of your account was changed.</p>`,
          isPrevious
            ? html`<p>We no longer send e-mails to this address.</p>`
            : html`<p>We now send e-mails to this address. Use it to log in.</p>`,
        ]
      : []),
    ...(change.password
      ? [html`<p>The password of your account was changed. All other sessions have ended.</p>`]
      : []),
    html`<p>If you did not make this change, contact us immediately.</p>`,
  ]);
}

export const orderConfirmation: OrderTemplate = (recipient, order) =>
  mail('Your order is confirmed', recipient, [
    html`<p>Thank you for your order. Your payment was successful, and we are preparing your parcel.</p>`,
    ...details(order),
  ]);

export const paymentFailed: OrderTemplate = (recipient, order) =>
  mail('Your payment did not go through', recipient, [
    html`<p>We could not charge your card, so we cannot ship your order. No money was kept.</p>`,
    ...reason(order),
    ...details(order),
    html`<p>You can order again with another card.</p>`,
  ]);

export const shipped: OrderTemplate = (recipient, order) =>
  mail('Your order is on its way', recipient, [
    html`<p>Your parcel has left our warehouse.</p>`,
    ...(order.tracking_number === undefined
      ? []
      : [html`<p>Tracking number: <strong>${order.tracking_number}</strong></p>`]),
    ...details(order),
  ]);

export const cancelled: OrderTemplate = (recipient, order) =>
  mail('Your order is cancelled', recipient, [
    html`<p>Your order is cancelled. If you have paid, we refund the whole amount to your card.</p>`,
    ...reason(order),
    ...details(order),
  ]);

export const rejected: OrderTemplate = (recipient, order) =>
  mail('We cannot fill your order', recipient, [
    html`<p>We are sorry. Some products of your order are out of stock. Your card was not charged.</p>`,
    ...reason(order),
    ...details(order),
  ]);

export const expired: OrderTemplate = (recipient, order) =>
  mail('Your order has expired', recipient, [
    html`<p>
      Your order was not paid in time, so it has expired. If your card was charged, we refund the whole amount
      to your card.
    </p>`,
    ...details(order),
  ]);

export const refunded: OrderTemplate = (recipient, order) =>
  mail('Your order is refunded', recipient, [
    html`<p>
      We have refunded <strong>${formatMoney(order.refunded ?? 0, order.currency)}</strong> to your card. Your
      bank may take a few days to show the refund.
    </p>`,
    ...details(order),
  ]);

export function mail(title: string, recipient: Addressee, content: Html[]): Mail {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${title}</title>
      </head>
      <body>
        <h1>${title}</h1>
        <p>Hello ${withoutLinks(recipient.name)},</p>
        ${content}
        <p>Your shop</p>
      </body>
    </html> `;
  return { subject: title, html: document.html };
}

function reason(order: Order): Html[] {
  return order.reason === undefined ? [] : [html`<p>Reason: ${withoutLinks(order.reason)}</p>`];
}

function details({ order_id, items, total, currency }: Order): Html[] {
  const lines = items.map(
    ({ quantity, name, unit_price }) =>
      html`<li>${quantity} × ${name}: ${formatMoney(quantity * unit_price, currency)}</li>`,
  );
  return [
    html`<p>Order ${order_id}</p>`,
    html`<ul>
      ${lines}
    </ul>`,
    html`<p>Total: <strong>${formatMoney(total, currency)}</strong></p>`,
  ];
}

/**
 * Prevents links in texts of customers, which may reach another person's address. Mail clients turn text into links, so
 * zero-width spaces break it.
 */
function withoutLinks(text: string): string {
  return text.replaceAll(/[.:/@]/g, '$&\u200b');
}
