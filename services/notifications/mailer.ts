import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { Counter, type Registry } from 'prom-client';
import { ConflictError } from '../shared/sidecar-call.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { inSpan } from '../shared/tracing.ts';
import { isGone, type Addressee } from './domain/recipient.ts';
import type { RecipientStore } from './store/recipient-store.ts';
import type { Mail } from './domain/templates.ts';

/**
 * Sends one mail of a kind about a subject (an order, a user), and no second one. Who is gone gets none, unless the
 * addressee is given.
 *
 * @throws Error where nothing is known of the recipient yet: the message that tells of them is still to come
 */
export type MailOnce = (mail: {
  kind: string;
  /** The id of what the mail is about. */
  about: string;
  recipientId: string;
  /** To whom, where it is not the address that is known. */
  addressee?: Addressee;
  write: (recipient: Addressee) => Mail;
}) => Promise<void>;

/** A mail that was sent; to whom and what is not kept. */
interface SentMail {
  sent_at: string;
}

/** A store that is away lets so many go out; beyond, one may be sent twice. */
const MAX_UNREMEMBERED = 10_000;

/** What a mail is about, and how it reads. */
type MailOrder = Parameters<MailOnce>[0];

/** @param deps.bindings the components that send mail; each sends one at a time */
export function mailer(deps: {
  sidecar: Sidecar;
  recipients: RecipientStore;
  metrics: Registry;
  bindings: readonly string[];
}): MailOnce {
  const { sidecar, recipients, metrics, bindings } = deps;
  const sent = new Counter({
    name: 'mails_sent_total',
    help: 'E-mails handed to the mail server, by event type',
    labelNames: ['kind'],
    registers: [metrics],
  });

  // Dapr's SMTP binding keeps the addresses of mails that are sent at the same time in one place: one of them can reach
  // somebody else (seen with 1.18).
  const free = [...bindings];
  const oneEach = pLimit(bindings.length);
  const underWay = new Map<string, Promise<void>>();
  // Sent, but the store could not be told: when the message comes again, that is all that is left to do.
  const unremembered = new LRUCache<string, true>({ max: MAX_UNREMEMBERED });

  return (mail) => {
    const key = `mail:${mail.about}:${mail.kind}`;
    // The same message may be delivered twice at once.
    const first = underWay.get(key);
    if (first) return first;
    const sending = oneEach(() => withBinding((binding) => mailOnce(binding, key, mail))).finally(() =>
      underWay.delete(key),
    );
    underWay.set(key, sending);
    return sending;
  };

  async function withBinding(send: (binding: string) => Promise<void>): Promise<void> {
    const binding = free.pop();
    if (binding === undefined) throw new Error('more e-mails in progress than SMTP bindings');
    await send(binding).finally(() => free.push(binding));
  }

  async function mailOnce(
    binding: string,
    key: string,
    { kind, recipientId, addressee, write }: MailOrder,
  ): Promise<void> {
    if (unremembered.has(key)) return remember(key);
    const [sentBefore, recipient] = await Promise.all([
      sidecar.state.get<SentMail>(key),
      addressee ?? recipients.load(recipientId),
    ]);
    if (sentBefore) return;
    if (!recipient) throw new Error(`recipient ${recipientId} is not known yet`);
    if (isGone(recipient)) return;
    const { subject, html } = write(recipient);
    await inSpan('send mail', { kind }, () =>
      sidecar.send(binding, html, { emailTo: recipient.email, subject }),
    );
    sent.inc({ kind });
    unremembered.set(key, true);
    await remember(key);
  }

  async function remember(key: string): Promise<void> {
    const value: SentMail = { sent_at: new Date().toISOString() };
    await sidecar.state.write({ op: 'put', key, value }).catch((error: unknown) => {
      // Another replica sent it at the same moment; it is remembered, and that is all that is wanted.
      if (!(error instanceof ConflictError)) throw error;
    });
    unremembered.delete(key);
  }
}
