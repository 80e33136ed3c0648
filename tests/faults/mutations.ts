import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadOptions } from './load.ts';
import type { ChaosMode } from './message-chaos.ts';

/**
 * An edit of the line below a comment `// guard: <seam>` in the services. The comment survives compilation, so renames and
 * moves do not break this file.
 */
interface Edit {
  seam: string;
  /** The new line. Without it, the line is deleted. */
  replacement?: (line: string) => string;
}

/** A mutation of the services that disables a guard, and the checks that have to detect it. */
export interface Mutation {
  name: string;
  edits: readonly Edit[];
  /** The replicas with that code. */
  replicas: readonly string[];
  /** The checks of which at least one has to fail. */
  violatedChecks: readonly string[];
  /** The fault types that provoke the violation. */
  faultTypes: readonly string[];
  /** The targets of these faults. By default, all. */
  targets?: readonly string[];
  messageChaos: ChaosMode;
  /** The duration of the load, if the default is too short. */
  seconds?: number;
  actions?: LoadOptions['actions'];
}

/** In compiled code, the statement of an `if` without braces is on its own line. */
const withFalseCondition = (line: string) => line.replace(/\bif \(.+\)$/, 'if (false)');

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the ETag of a write',
    edits: [
      { seam: 'send the ETag of a write' },
      { seam: 'first write wins', replacement: (line) => line.replace('first-write', 'last-write') },
    ],
    replicas: ['inventory', 'inventory-2'],
    violatedChecks: ['stock'],
    faultTypes: [],
    messageChaos: 'none',
  },
  {
    name: 'saving before publishing',
    edits: [
      {
        seam: 'save before publishing',
        replacement: (line) => `await publishEvent(document, after.version); ${line}`,
      },
      { seam: 'publish after saving' },
    ],
    replicas: ['orders', 'orders-2'],
    // An event of a change that lost its race stays in the read model only if no later one follows. Inventory acts on it in any case.
    violatedChecks: ['read model', 'stock'],
    faultTypes: ['database locked'],
    messageChaos: 'duplicated and delayed',
    seconds: 24,
    actions: { cancel: 40 },
  },
  {
    name: 'handling before acknowledging',
    edits: [
      {
        seam: 'handle before acknowledging',
        replacement: (line) => line.replace(/await (inProcessSpan\(.*\));/, '$1.catch(() => {});'),
      },
    ],
    replicas: ['notifications'],
    violatedChecks: ['e-mails'],
    // A frozen mail server keeps e-mails waiting, so that the kill interrupts some of them.
    faultTypes: ['service killed', 'mail server frozen'],
    targets: ['notifications', 'Mail catcher'],
    messageChaos: 'none',
    seconds: 24,
  },
  {
    name: 'the idempotency key of a provider call',
    // Without the key, the provider treats every call as a new one.
    edits: [{ seam: 'capture an order once', replacement: withFalseCondition }],
    replicas: ['payments', 'payments-2'],
    violatedChecks: ['money'],
    faultTypes: [],
    messageChaos: 'none',
  },
  {
    name: 'the tombstone of a cancelled order',
    edits: [
      { seam: 'block the payment of an ended order' },
      // An order without a card is not charged.
      { seam: 'erase the card of a decided payment', replacement: withFalseCondition },
      // Otherwise the watchdog would compensate by republishing the cancellation.
      { seam: 'republish the last event of a final order' },
    ],
    replicas: ['payments', 'payments-2', 'orders', 'orders-2'],
    violatedChecks: ['money'],
    faultTypes: [],
    // The cancellation has to arrive before the payment request.
    messageChaos: { lastTopic: 'payment.requested' },
    actions: { cancel: 80 },
  },
  {
    name: 'the limit of a return',
    edits: [{ seam: 'return at most what was bought', replacement: withFalseCondition }],
    replicas: ['returns', 'returns-2'],
    violatedChecks: ['returns'],
    faultTypes: [],
    messageChaos: 'none',
    // Orders have to be delivered first.
    seconds: 24,
    actions: { return: 80 },
  },
];

/** The comment of a seam and the line below it. */
const SEAM = /^[ \t]*\/\/ guard: (.+)\n(.*)$/gm;

/**
 * Applies a mutation to the compiled services.
 *
 * @returns the function that reverts it
 * @throws Error if the code does not have each seam exactly once, or if an edit changes nothing
 */
export function applyMutation({ edits }: Mutation, dist: string): () => void {
  const folder = join(dist, 'services');
  const foundSeams: string[] = [];
  const changes = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    // The compiler leaves the output of sources that were moved.
    .filter((file) => file.endsWith('.js') && existsSync(join('services', file.replace(/js$/, 'ts'))))
    .map((file) => {
      const path = join(folder, file);
      const before = readFileSync(path, 'utf8');
      const after = before.replace(SEAM, (match, seam: string, line: string) => {
        const edit = edits.find((one) => one.seam === seam);
        if (!edit) return match;
        const replacement = edit.replacement?.(line) ?? '';
        if (replacement === line) throw new Error(`${file}: the edit of the seam "${seam}" changes nothing`);
        foundSeams.push(seam);
        return replacement;
      });
      return { path, before, after };
    })
    .filter(({ before, after }) => before !== after);
  const seams = edits.map(({ seam }) => seam);
  if (foundSeams.toSorted().join() !== seams.toSorted().join())
    throw new Error(`the seams ${seams.join(', ')} must exist once each; found: ${foundSeams.join(', ')}`);
  for (const { path, after } of changes) writeFileSync(path, after);
  return () => changes.forEach(({ path, before }) => writeFileSync(path, before));
}
