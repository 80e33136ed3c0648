import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { isDeleted, type Addressee } from './domain/recipient.ts';
import { METRICS, type EmailKind } from './metrics.ts';
import type { RecipientStore } from './store/recipient-store.ts';
import type { Mail } from './domain/templates.ts';

/**
 * Sends one e-mail of a kind about a subject (an order or a user), and never a second one. Deleted users get none, unless
 * the addressee is given.
 *
 * @throws Error if the recipient is not known yet; then the broker redelivers the event
 */
export type SendEmailOnce = (mail: {
  kind: EmailKind;
  /** The id of the order or user. */
  subjectId: string;
  recipientId: string;
  /** The addressee, if it is not the known address. */
  addressee?: Addressee;
  write: (recipient: Addressee) => Mail;
}) => Promise<void>;

/** The record of a sent e-mail. It contains neither the recipient nor the content. */
interface SentEmail {
  sent_at: string;
}

/** The maximum of e-mails to remember while the state store is unavailable. Further e-mails may be sent twice. */
const MAX_UNRECORDED = 10_000;

/** The subject and the text of an e-mail. */
type EmailRequest = Parameters<SendEmailOnce>[0];

/** @param deps.bindings the e-mail components; each sends one e-mail at a time */
export function createEmailSender(deps: {
  sidecar: Sidecar;
  recipients: RecipientStore;
  metrics: Metrics;
  bindings: readonly string[];
}): SendEmailOnce {
  const { sidecar, recipients, metrics, bindings } = deps;
  const emails = createCounter(metrics, METRICS.emails);

  // Dapr's SMTP binding (1.18) shares one field for the addresses of concurrent e-mails, so an e-mail could reach another
  // recipient.
  const idleBindings = [...bindings];
  const limit = pLimit(bindings.length);
  const inFlight = new Map<string, Promise<void>>();
  // The e-mail was sent, but not recorded. After the redelivery, only the record is missing.
  const sentButUnrecorded = new LRUCache<string, true>({ max: MAX_UNRECORDED });

  return (mail) => {
    const key = `mail:${mail.subjectId}:${mail.kind}`;
    // The same event may be delivered twice at once.
    const first = inFlight.get(key);
    if (first) return first;
    const sending = limit(() => withBinding((binding) => sendAndCount(binding, key, mail))).finally(() =>
      inFlight.delete(key),
    );
    inFlight.set(key, sending);
    return sending;
  };

  async function withBinding(send: (binding: string) => Promise<void>): Promise<void> {
    const binding = idleBindings.pop();
    if (binding === undefined) throw new Error('more e-mails in progress than SMTP bindings');
    await send(binding).finally(() => idleBindings.push(binding));
  }

  async function sendAndCount(binding: string, key: string, mail: EmailRequest): Promise<void> {
    const { kind } = mail;
    const outcome = await sendOnce(binding, key, mail).catch((error: unknown) => {
      emails.inc({ kind, outcome: 'failed' });
      throw error;
    });
    emails.inc({ kind, outcome });
    if (outcome === 'sent') await recordSent(key);
  }

  async function sendOnce(
    binding: string,
    key: string,
    { kind, recipientId, addressee, write }: EmailRequest,
  ): Promise<'sent' | 'repeated' | 'suppressed'> {
    if (sentButUnrecorded.has(key)) {
      await recordSent(key);
      return 'repeated';
    }
    const [sentBefore, recipient] = await Promise.all([
      sidecar.state.get<SentEmail>(key),
      addressee ?? recipients.load(recipientId),
    ]);
    if (sentBefore) return 'repeated';
    if (!recipient) throw new Error(`recipient ${recipientId} is not known yet`);
    if (isDeleted(recipient)) return 'suppressed';
    const { subject, html } = write(recipient);
    await inSpan('send e-mail', { 'email.kind': kind }, () =>
      sidecar.invokeBinding(binding, html, { emailTo: recipient.email, subject }),
    );
    sentButUnrecorded.set(key, true);
    return 'sent';
  }

  async function recordSent(key: string): Promise<void> {
    const value: SentEmail = { sent_at: new Date().toISOString() };
    await sidecar.state.write({ op: 'put', key, value }).catch((error: unknown) => {
      // Another replica sent the e-mail at the same time, and its record is enough.
      if (!(error instanceof ConflictError)) throw error;
    });
    sentButUnrecorded.delete(key);
  }
}
