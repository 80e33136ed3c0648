import type { Express } from 'express';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { notifications as description } from './api.ts';
import { createEmailSender } from './email-sender.ts';
import { createRecipientStore } from './store/recipient-store.ts';
import { createSubscriptions } from './subscriptions.ts';

export interface NotificationsDeps extends ServiceDeps {
  /** The names of the e-mail components. */
  bindings: readonly string[];
}

export function createApp(deps: NotificationsDeps): Express {
  const recipients = createRecipientStore(deps.sidecar.state);
  const sendEmailOnce = createEmailSender(deps);
  return createService(deps, {
    description,
    routers: [createSubscriptions({ ...deps, recipients, sendEmailOnce })],
  });
}
