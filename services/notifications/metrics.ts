import { CUSTOMER_EVENT_TYPES } from '../orders/contract.ts';
import { returnEvents } from '../returns/contract.ts';
import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The kinds of e-mails. */
export const EMAIL_KINDS = [
  ...CUSTOMER_EVENT_TYPES,
  ...returnEvents.types,
  'user.registered',
  'user.updated',
  'user.updated.previous-address',
] as const;
export type EmailKind = (typeof EMAIL_KINDS)[number];

/** The metrics of `notifications`. */
export const METRICS = {
  emails: {
    type: 'counter',
    name: 'emails_total',
    help: 'E-mails',
    // failed: the event is redelivered. repeated: it was sent before. suppressed: the account is deleted.
    labels: { kind: EMAIL_KINDS, outcome: ['sent', 'failed', 'repeated', 'suppressed'] },
  },
} as const satisfies MetricDeclarations;
