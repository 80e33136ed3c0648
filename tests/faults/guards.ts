import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadOptions } from './load.ts';
import type { Manner } from './mischief.ts';

/** Something on which a promise rests, and what happens without it. */
export interface Guard {
  name: string;
  /** The compiled code that it is, and what stands in its place without it. */
  without: readonly { file: string; code: string; instead: string }[];
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

export const GUARDS: readonly Guard[] = [
  {
    name: 'the ETag of a write',
    without: [
      {
        file: 'services/shared/state.js',
        code: '...(write.etag ? { etag: write.etag } : {}),',
        instead: '',
      },
      {
        file: 'services/shared/state.js',
        code: "concurrency: 'first-write' }",
        instead: "concurrency: 'last-write' }",
      },
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
        file: 'services/orders/move-order.js',
        code: 'const document = await store.save(',
        instead: `await say({ ...value, events }, becomes.version);
          const document = await store.save(`,
      },
      {
        file: 'services/orders/move-order.js',
        code: 'await say(document, becomes.version);',
        instead: '',
      },
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
        file: 'services/shared/events.js',
        code: 'await handle(req.body);',
        instead: 'handle(req.body).catch(() => {});',
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
    without: [
      {
        file: 'services/payments/simulated-provider.js',
        code: 'known.captures.length > 0 || known.voided_at ? known : { ...known, captures: capture.captures }',
        instead: '({ ...known, captures: [...known.captures, ...capture.captures] })',
      },
    ],
    replicas: ['payments', 'payments-2'],
    breaks: 'money',
    kinds: [],
    mischief: 'none',
  },
  {
    name: 'the tombstone of a cancelled order',
    // The order's job would make up for it, by saying the cancellation once more.
    without: [
      {
        file: 'services/payments/payment.js',
        code: "'order ended': {\n        none: 'refuse'",
        instead: "'order ended': {\n        none: 'nothing'",
      },
      // Without its card no order is charged.
      {
        file: 'services/orders/move-order.js',
        code: 'isUnpaid(becomes) ? watched : withoutCard(watched)',
        instead: 'watched',
      },
      {
        file: 'services/orders/watch-order.js',
        code: 'await say(loaded.value, order.version);\n            // Whoever',
        instead: '// Whoever',
      },
    ],
    replicas: ['payments', 'payments-2', 'orders', 'orders-2'],
    breaks: 'money',
    kinds: [],
    // The cancellation has to come before what it cancels.
    mischief: { last: 'payment.requested' },
    actions: { cancel: 80 },
  },
];

/**
 * Takes a guard out of the compiled services.
 *
 * @returns what puts it back
 * @throws Error where the code is not as it was when the guard was described
 */
export function takeOut({ without }: Guard, dist: string): () => void {
  const before = new Map<string, string>();
  for (const { file, code, instead } of without) {
    const path = join(dist, file);
    const text = readFileSync(path, 'utf8');
    if (!before.has(path)) before.set(path, text);
    if (text.split(code).length !== 2) throw new Error(`${file} does not have, once: ${code}`);
    writeFileSync(
      path,
      text.replace(code, () => instead),
    );
  }
  return () => before.forEach((text, path) => writeFileSync(path, text));
}
