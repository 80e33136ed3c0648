import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadOptions } from './load.ts';

/** Something on which a promise rests, and what happens without it. */
export interface Guard {
  name: string;
  /** The compiled file it is in, and how it is taken out. */
  file: string;
  without: readonly (readonly [code: string, instead: string])[];
  /** The replicas that run that code. */
  replicas: readonly string[];
  /** The promise that is broken without it. */
  breaks: string;
  /** What brings it about: kinds of fault, mischief with messages, more of some actions. */
  kinds: readonly string[];
  mischief: boolean;
  actions?: LoadOptions['actions'];
}

export const GUARDS: readonly Guard[] = [
  {
    name: 'the ETag of a write',
    file: 'services/shared/state.js',
    without: [
      ['...(write.etag ? { etag: write.etag } : {}),', ''],
      ["concurrency: 'first-write' }", "concurrency: 'last-write' }"],
    ],
    replicas: ['inventory', 'inventory-2'],
    breaks: 'stock',
    kinds: [],
    mischief: false,
  },
  {
    name: 'the write before the message',
    file: 'services/orders/move-order.js',
    without: [
      [
        'const document = await store.save(',
        'await say({ ...watched, events: append(before, [next], at) }, order.version + 1);\nconst document = await store.save(',
      ],
      ['await say(document, order.version + 1);', ''],
    ],
    replicas: ['orders', 'orders-2'],
    breaks: 'read model',
    kinds: ['database locked'],
    mischief: true,
    actions: { cancel: 40 },
  },
  {
    name: 'the message before the acknowledgement',
    file: 'services/shared/events.js',
    without: [['await handle(req.body);', 'handle(req.body).catch(() => {});']],
    replicas: ['notifications'],
    breaks: 'mails',
    kinds: ['mail server frozen'],
    mischief: false,
  },
  {
    name: 'the key of a call to the payment provider',
    file: 'services/payments/simulated-provider.js',
    // Without one, a provider takes every call for a new one.
    without: [
      [
        'known.captures.length > 0 || known.voided_at ? known : { ...known, captures: capture.captures }',
        '({ ...known, captures: [...known.captures, ...capture.captures] })',
      ],
    ],
    replicas: ['payments', 'payments-2'],
    breaks: 'money',
    kinds: [],
    mischief: false,
  },
  {
    name: 'the tombstone of a cancelled order',
    file: 'services/payments/payment.js',
    without: [["none: 'refuse'", "none: 'nothing'"]],
    replicas: ['payments', 'payments-2'],
    breaks: 'money',
    kinds: [],
    mischief: true,
    actions: { cancel: 40 },
  },
];

/**
 * Takes a guard out of the compiled services.
 *
 * @returns what puts it back
 * @throws Error where the code is not as it was when the guard was described
 */
export function takeOut({ file, without }: Guard, dist: string): () => void {
  const path = join(dist, file);
  const before = readFileSync(path, 'utf8');
  let after = before;
  for (const [code, instead] of without) {
    if (after.split(code).length !== 2) throw new Error(`${file} does not have, once: ${code}`);
    after = after.replace(code, () => instead);
  }
  writeFileSync(path, after);
  return () => writeFileSync(path, before);
}
