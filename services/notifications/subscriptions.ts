import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Router } from 'express';
import type { z } from 'zod';
import { CUSTOMER_EVENT_TYPES, orderEvents, type CustomerEventType } from '../orders/contract.ts';
import { returnEvents, type ReturnEventType } from '../returns/contract.ts';
import { onEvent, createSubscriptionRouter } from '../shared/dapr/subscriptions.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import { userEvents, type User } from '../users/contract.ts';
import type { SendEmailOnce } from './email-sender.ts';
import type { Addressee } from './domain/recipient.ts';
import type { RecipientStore } from './store/recipient-store.ts';
import * as returnTemplates from './domain/return-templates.ts';
import * as templates from './domain/templates.ts';

type UserEvent = z.infer<(typeof userEvents.data)['user.updated']>;

/** The e-mail for each event of which a customer is informed. */
const ORDER_MAILS: Readonly<Record<CustomerEventType, templates.OrderTemplate>> = {
  'order.paid': templates.orderConfirmation,
  'order.payment_failed': templates.paymentFailed,
  'order.shipped': templates.shipped,
  'order.cancelled': templates.cancelled,
  'order.rejected': templates.rejected,
  'order.expired': templates.expired,
  'order.refunded': templates.refunded,
};

const RETURN_MAILS: Readonly<Record<ReturnEventType, returnTemplates.ReturnTemplate>> = {
  'return.requested': returnTemplates.requested,
  'return.approved': returnTemplates.approved,
  'return.received': returnTemplates.received,
  'return.refunded': returnTemplates.refunded,
  'return.rejected': returnTemplates.rejected,
  'return.cancelled': returnTemplates.cancelled,
  'return.expired': returnTemplates.expired,
};

export function createSubscriptions(deps: {
  log: Logger;
  metrics: Metrics;
  recipients: RecipientStore;
  sendEmailOnce: SendEmailOnce;
}): Router {
  const { recipients, sendEmailOnce } = deps;
  return createSubscriptionRouter(deps, [
    onEvent(userEvents, 'user.registered', async ({ user, version }) => {
      await recipients.save(addressee(user, version));
      const { user_id } = user;
      await sendEmailOnce({
        kind: 'user.registered',
        subjectId: user_id,
        recipientId: user_id,
        write: templates.welcome,
      });
    }),
    onEvent(userEvents, 'user.updated', async (update) => {
      await recipients.save(addressee(update.user, update.version));
      await Promise.all(aboutChange(update).map(sendEmailOnce));
    }),
    onEvent(userEvents, 'user.deleted', ({ user_id, version }) =>
      recipients.save({ user_id, deleted: true, version }),
    ),
    ...CUSTOMER_EVENT_TYPES.map((kind) =>
      onEvent(orderEvents, kind, async ({ order }) => {
        addRequestFields({ order_id: order.order_id });
        await sendEmailOnce({
          kind,
          subjectId: order.order_id,
          recipientId: order.customer_id,
          write: (recipient) => ORDER_MAILS[kind](recipient, order),
        });
      }),
    ),
    ...returnEvents.types.map((kind) =>
      onEvent(returnEvents, kind, async ({ return: returned }) => {
        addRequestFields({ order_id: returned.order_id });
        await sendEmailOnce({
          kind,
          subjectId: returned.return_id,
          recipientId: returned.customer_id,
          write: (recipient) => RETURN_MAILS[kind](recipient, returned),
        });
      }),
    ),
  ]);
}

/** Also for a deleted user, because a thief may have deleted the account. */
function aboutChange({
  user,
  version,
  previous_email,
  password_changed,
}: UserEvent): Parameters<SendEmailOnce>[0][] {
  const change = { email: previous_email !== undefined, password: password_changed === true };
  if (!change.email && !change.password) return [];
  const { user_id } = user;
  const mailTo = (email: string, isPrevious: boolean) => ({
    kind: isPrevious ? ('user.updated.previous-address' as const) : ('user.updated' as const),
    subjectId: `${user_id}:${version}`,
    recipientId: user_id,
    addressee: { user_id, email, name: user.name, version },
    write: (recipient: Addressee) => templates.accountChanged(recipient, change, isPrevious),
  });
  return [mailTo(user.email, false), ...(previous_email === undefined ? [] : [mailTo(previous_email, true)])];
}

function addressee({ user_id, email, name }: User, version: number): Addressee {
  return { user_id, email, name, version };
}
