import type { Express } from 'express';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { notifications as description } from './api.ts';
import { mailer } from './mailer.ts';
import { recipientStore } from './store/recipient-store.ts';
import { subscriptions } from './subscriptions.ts';

export interface NotificationsDeps extends ServiceDeps {
  /** The names of the e-mail components. */
  bindings: readonly string[];
}

export function createApp(deps: NotificationsDeps): Express {
  const recipients = recipientStore(deps.sidecar.state);
  const mailOnce = mailer({ ...deps, recipients });
  return createService(deps, {
    description,
    routers: [subscriptions({ log: deps.log, recipients, mailOnce })],
  });
}
