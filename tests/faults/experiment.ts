import { setTimeout as delay } from 'node:timers/promises';
import type { Attack, CompletedFault, AttackContext } from './attacks/attack.ts';
import { runChecks, type CheckResult } from './checks/checks.ts';
import { listDeadLetters } from './checks/dead-letters.ts';
import type { CheckContext } from './checks/check.ts';
import { createJournal, type Journal } from './journal.ts';
import { waitFor } from '../support/wait.ts';
import { ensureRunning } from './fault-types.ts';
import { startLoad, type LoadOptions } from './load.ts';
import { registerUsers } from './users.ts';
import type { Fault } from './schedule.ts';
import type { TestProducts } from './test-products.ts';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import type { Admin } from '../../deploy/local/system/admin.ts';
import { startSupervisor } from './supervise.ts';
import { findAbandonedOrders, sendFinalRequests } from './final-requests.ts';

export interface ExperimentOptions {
  attack: Attack;
  /** The seed of the load. */
  seed: string;
  products: TestProducts;
  customers: number;
  concurrency?: LoadOptions['concurrency'];
  /** The longest pause of a customer between two requests. */
  thinkTimeMs: number;
  actions?: LoadOptions['actions'];
  /** The wait before the final requests, which stands for the probes of a platform. */
  settleMs: number;
  /** The time after the load in which every promise has to become true. */
  verifyTimeoutMs: number;
  signal: AbortSignal;
  print: (line: string) => void;
}

/** The parts of an environment that an experiment needs. */
export interface ExperimentTarget {
  /** The URLs of the gateways. With several, a customer without a response retries once at another one. */
  gateways: readonly string[];
  /** The processes that the supervisor restarts. */
  units: ReadonlyMap<string, ManagedProcess>;
  system: { admin: Admin; urls: { mails: string } };
}

/** The result of an experiment. */
export interface ExperimentResult {
  journal: Journal;
  context: CheckContext;
  /** The duration of the load. */
  seconds: number;
  faults: CompletedFault[];
  figures: Record<string, string>;
  /** Processes that exited without a fault. The supervisor restarted them. */
  unexpectedExits: string[];
  checks: CheckResult[];
  /** The time from the end of the load until every promise held, or the timeout. */
  settledAfterMs: number;
}

/** Attacks a system under load, waits until it has recovered, and checks every promise. */
export async function runExperiment(
  target: ExperimentTarget,
  options: ExperimentOptions,
): Promise<ExperimentResult> {
  const { seed, products, concurrency, thinkTimeMs, actions, signal, print } = options;
  const { gateways, system, units } = target;
  const journal = createJournal();
  const users = await registerUsers(gateways, system.admin, options.customers);
  const faultTracker = createFaultTracker();
  const supervisor = startSupervisor(units, faultTracker.isUnderFault);
  const startedMs = performance.now();
  const runFault: AttackContext['runFault'] = (fault, execute) => {
    const elapsed = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
    print(
      `${elapsed} s, ${journal.accepted.size} orders; ${fault.type}: ${fault.target}, ${fault.durationMs} ms`,
    );
    return faultTracker.runFault(fault, execute);
  };
  try {
    const deadLetters = await waitFor(
      'the dead letters are listed',
      () => listDeadLetters(users.admin).catch(() => undefined),
      { until: (list) => list !== undefined },
    );
    const knownDeadLetters = new Set(deadLetters?.map(({ id }) => id));
    const load = startLoad({ users, journal, products, seed, concurrency, thinkTimeMs, actions });
    const result = await options
      .attack({ users, journal, runFault, signal, print })
      .finally(() => load.stop());
    const loadEnded = performance.now();

    print(`The load has ended: ${journal.accepted.size} orders. Checking every promise ...`);
    await Promise.all([...units.values()].map(ensureRunning));
    await delay(options.settleMs, undefined, { signal });
    const finalRequests = await sendFinalRequests(users, journal, products);
    const settledRequests: CheckResult = {
      name: 'responses',
      promise: 'A repeated request gets a response in the end.',
      verified: journal.requestedOrders.length + journal.restocks.length,
      violations: await load.settle(options.verifyTimeoutMs),
    };
    await findAbandonedOrders(users, journal);
    const context: CheckContext = {
      users,
      journal,
      products,
      knownDeadLetters,
      mails: system.urls.mails,
      orders: new Map(),
      returns: new Map(),
    };
    const checks = await runChecks(context, { deadlineMs: options.verifyTimeoutMs, signal });
    const settledAfterMs = performance.now() - loadEnded;
    const evaluation = result.evaluate?.(context) ?? { checks: [], figures: {} };
    return {
      journal,
      context,
      seconds: (loadEnded - startedMs) / 1000,
      faults: result.faults,
      unexpectedExits: supervisor.unexpectedExits,
      checks: [finalRequests, settledRequests, ...checks, ...evaluation.checks],
      figures: evaluation.figures,
      settledAfterMs,
    };
  } finally {
    await supervisor.stop();
    await users.close();
  }
}

/** Tracks the processes under a fault, which the fault itself restarts. */
function createFaultTracker() {
  const activeFaults = new Map<string, number>();
  const add = (names: readonly string[], by: 1 | -1) => {
    for (const name of names) activeFaults.set(name, (activeFaults.get(name) ?? 0) + by);
  };
  return {
    isUnderFault: (name: string) => (activeFaults.get(name.replace(/-sidecar$/, '')) ?? 0) > 0,
    async runFault({ affects }: Fault, execute: () => Promise<void>): Promise<void> {
      add(affects, 1);
      await execute().finally(() => add(affects, -1));
    },
  };
}
