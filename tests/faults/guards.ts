import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadOptions } from './load.ts';
import type { Manner } from './mischief.ts';

/**
 * One line of code, below a comment `// guard: <seam>` in the services. The comment survives compilation, so that renames and
 * moves do not break this file.
 */
interface Removal {
  seam: string;
  /** The line that stands in its place. Left out: none. */
  instead?: (line: string) => string;
}

/** Something on which a promise rests, and what happens without it. */
export interface Guard {
  name: string;
  without: readonly Removal[];
  /** The replicas that run that code. */
  replicas: readonly string[];
  /** The promise that is broken without it. */
  breaks: string;
  /** What brings it about: kinds of fault, what they hit (not given: anything), mischief with messages, more of some actions. */
  kinds: readonly string[];
  targets?: readonly string[];
  mischief: Manner;
  /** Of load, where the usual does not bring it about for certain. */
  seconds?: number;
  actions?: LoadOptions['actions'];
}

/** Compiled, the statement of an `if` without braces has a line of its own. */
const never = (line: string) => line.replace(/\bif \(.+\)$/, 'if (false)');

export const GUARDS: readonly Guard[] = [
  {
    name: 'the ETag of a write',
    without: [
      { seam: 'send the ETag of a write' },
      { seam: 'first write wins', instead: (line) => line.replace('first-write', 'last-write') },
    ],
    replicas: ['inventory', 'inventory-2'],
    breaks: 'stock',
    kinds: [],
    mischief: 'none',
  },
  {
    name: 'the write before the message',
    without: [
      {
        seam: 'save before publishing',
        instead: (line) => `await publishEvent(document, after.version); ${line}`,
      },
      { seam: 'publish after saving' },
    ],
    replicas: ['orders', 'orders-2'],
    breaks: 'read model',
    kinds: ['database locked'],
    mischief: 'twice and late',
    actions: { cancel: 40 },
  },
  {
    name: 'the message before the acknowledgement',
    without: [
      {
        seam: 'handle before acknowledging',
        instead: (line) => line.replace('await handle(req.body)', 'handle(req.body).catch(() => {})'),
      },
    ],
    replicas: ['notifications'],
    breaks: 'mails',
    // The kill has to come while mails are being sent: some wait for the mail server then.
    kinds: ['service killed', 'mail server frozen'],
    targets: ['notifications', 'Mail catcher'],
    mischief: 'none',
    seconds: 24,
  },
  {
    name: 'the key of a call to the payment provider',
    // Without one, a provider takes every call for a new one.
    without: [{ seam: 'capture an order once', instead: never }],
    replicas: ['payments', 'payments-2'],
    breaks: 'money',
    kinds: [],
    mischief: 'none',
  },
  {
    name: 'the tombstone of a cancelled order',
    without: [
      { seam: 'block the payment of an ended order' },
      // Without its card no order is charged.
      { seam: 'erase the card of a decided payment', instead: never },
      // The watchdog would make up for it by publishing the cancellation once more.
      { seam: 'republish the last event of a final order' },
    ],
    replicas: ['payments', 'payments-2', 'orders', 'orders-2'],
    breaks: 'money',
    kinds: [],
    // The cancellation has to come before what it cancels.
    mischief: { last: 'payment.requested' },
    actions: { cancel: 80 },
  },
];

/** A seam's comment, and the line below it. */
const SEAM = /^[ \t]*\/\/ guard: (.+)\n(.*)$/gm;

/**
 * Takes a guard out of the compiled services.
 *
 * @returns what puts it back
 * @throws Error if the code does not have each of its seams once, or if the line of a seam stays as it was
 */
export function takeOut({ without }: Guard, dist: string): () => void {
  const folder = join(dist, 'services');
  const found: string[] = [];
  const changes = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .map((file) => {
      const path = join(folder, file);
      const before = readFileSync(path, 'utf8');
      const after = before.replace(SEAM, (all, seam: string, line: string) => {
        const removal = without.find((one) => one.seam === seam);
        if (!removal) return all;
        const instead = removal.instead?.(line) ?? '';
        if (instead === line) throw new Error(`${file}: the seam "${seam}" has another line now`);
        found.push(seam);
        return instead;
      });
      return { path, before, after };
    })
    .filter(({ before, after }) => before !== after);
  const seams = without.map(({ seam }) => seam);
  if (found.toSorted().join() !== seams.toSorted().join())
    throw new Error(`the seams ${seams.join(', ')} are expected once each, found: ${found.join(', ')}`);
  for (const { path, after } of changes) writeFileSync(path, after);
  return () => changes.forEach(({ path, before }) => writeFileSync(path, before));
}
