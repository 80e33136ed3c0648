import { LRUCache } from 'lru-cache';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import { captureContext, runInContext } from '../shared/telemetry/request-context.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { createBatcher } from '../shared/util/batcher.ts';
import { isDeleted, type Addressee, type Recipient } from './domain/recipient.ts';
import { METRICS, type EmailKind } from './metrics.ts';
import { recipientKey } from './store/recipient-store.ts';
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
/** How long the first e-mail of a batch waits for others. Nobody waits for an e-mail. */
const GATHER_MS = 50;
/** With the timeout of a binding (5 s), it is less than the time after which the broker delivers to another replica (10 s). */
const MAX_WAIT_MS = 4_000;

/** The subject and the text of an e-mail. */
type EmailRequest = Parameters<SendEmailOnce>[0];

/** An e-mail that waits for a binding, and the trace of its event. */
interface Waiting {
  key: string;
  mail: EmailRequest;
  trace: ReturnType<typeof captureContext>;
}

/**
 * Sends e-mails in batches, each e-mail through its own binding. A batch has one read of all records and recipients before, and one
 * write of the records after (services/decisions/0135-no-bulk-subscriptions.md).
 *
 * @param deps.bindings the e-mail components; each sends one e-mail at a time
 */
export function createEmailSender(deps: {
  sidecar: Sidecar;
  metrics: Metrics;
  bindings: readonly string[];
}): SendEmailOnce {
  const { sidecar, metrics, bindings } = deps;
  const { state } = sidecar;
  const emails = createCounter(metrics, METRICS.emails);
  const inFlight = new Map<string, Promise<void>>();
  // The e-mail was sent, but not recorded. After the redelivery, only the record is missing.
  const sentButUnrecorded = new LRUCache<string, true>({ max: MAX_UNRECORDED });
  // Dapr's SMTP binding (1.18) shares one field for the addresses of concurrent e-mails, so an e-mail could reach another
  // recipient. So a batch has one e-mail per binding, and there is one batch at a time.
  const sendInBatch = createBatcher(sendBatch, {
    maxBatch: bindings.length,
    maxWaitMs: MAX_WAIT_MS,
    lingerMs: () => GATHER_MS,
  });

  return (mail) => {
    const key = `mail:${mail.subjectId}:${mail.kind}`;
    // The same event may be delivered twice at once.
    const first = inFlight.get(key);
    if (first) return first;
    const sending = sendAndCount(key, mail).finally(() => inFlight.delete(key));
    inFlight.set(key, sending);
    return sending;
  };

  async function sendAndCount(key: string, mail: EmailRequest): Promise<void> {
    try {
      const result = await sendInBatch({ key, mail, trace: captureContext() });
      if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      emails.inc({ kind: mail.kind, outcome: 'failed' });
      throw error;
    }
  }

  async function sendBatch(batch: Waiting[]): Promise<PromiseSettledResult<void>[]> {
    const keys = batch.flatMap(({ key, mail: { addressee, recipientId } }) =>
      addressee ? [key] : [key, recipientKey(recipientId)],
    );
    // Every recipient exists, except for a user whose registration is late.
    const found = await state.getMany<SentEmail | Recipient>([...new Set(keys)], { oneExists: true });
    const sent = await Promise.allSettled(
      batch.map((waiting, position) =>
        runInContext(waiting.trace, () => sendOnce(bindings[position] ?? '', waiting, found)),
      ),
    );
    // In one tick, so that the writes share a call.
    return Promise.allSettled(
      batch.map(async ({ key }, position) => {
        const result = sent[position];
        if (result?.status === 'rejected') throw result.reason;
        if (sentButUnrecorded.has(key)) await recordSent(key);
      }),
    );
  }

  async function sendOnce(
    binding: string,
    { key, mail: { kind, addressee, recipientId, write } }: Waiting,
    found: ReadonlyMap<string, { value: SentEmail | Recipient }>,
  ): Promise<void> {
    if (found.has(key) || sentButUnrecorded.has(key)) return emails.inc({ kind, outcome: 'repeated' });
    const recipient = addressee ?? (found.get(recipientKey(recipientId))?.value as Recipient | undefined);
    if (!recipient) throw new Error(`recipient ${recipientId} is not known yet`);
    if (isDeleted(recipient)) return emails.inc({ kind, outcome: 'suppressed' });
    const { subject, html } = write(recipient);
    await inSpan('send e-mail', { 'email.kind': kind }, () =>
      sidecar.invokeBinding(binding, html, { emailTo: recipient.email, subject }),
    );
    sentButUnrecorded.set(key, true);
    emails.inc({ kind, outcome: 'sent' });
  }

  async function recordSent(key: string): Promise<void> {
    const value: SentEmail = { sent_at: new Date().toISOString() };
    await state.write({ op: 'put', key, value }).catch((error: unknown) => {
      // Another replica sent the e-mail at the same time, and its record is enough.
      if (!(error instanceof ConflictError)) throw error;
    });
    sentButUnrecorded.delete(key);
  }
}
