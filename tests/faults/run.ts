import { setMaxListeners } from 'node:events';
import { act, type Act } from './act.ts';
import type { FaultKind } from './kinds.ts';
import { heldUp, recoveries } from './recovery.ts';
import { machine } from '../support/machine.ts';
import { LEAST_SUCCEEDED, succeededOf, type Report } from './report.ts';
import { shelf } from './shelf.ts';
import { startStage, type Stage } from './stage.ts';
import { tally } from './tally.ts';

export interface RunOptions {
  seed: string;
  /** Seconds of load and faults. */
  seconds: number;
  /** `mischief`: every message twice, late and in any order, as well. */
  mode: 'faults' | 'mischief';
  /** Another broker and store, by the name of its profile. */
  profile?: string | undefined;
  /** The kinds of fault, by name; not given: all that this machine allows. */
  only?: readonly string[] | undefined;
  portOffset: number;
  /** Everything of the run is kept in a folder of its own in here, and left there. */
  scratch: string;
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** Starts a system, has it attacked, and reports. */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, seconds, mode, signal, tell } = options;
  // Every fault waits for it.
  setMaxListeners(0, signal);
  const products = shelf('shop');
  tell(`Seed ${seed}. Starting a system at port ${8080 + options.portOffset} ...`);
  const stage = await startStage({ ...options, shelves: [products], proxies: mode === 'mischief' });
  try {
    signal.throwIfAborted();
    stage.mischief(mode === 'mischief');
    const kinds = stage.kinds.filter(({ name }) => options.only?.includes(name) ?? true);
    const acted = await act(stage, {
      seed,
      seconds,
      shelf: products,
      kinds,
      signal,
      tell,
      customers: 32,
      restMs: 400,
      settleMs: 15_000,
      quietMs: 240_000,
    });
    return reportOn(options, stage, kinds, acted);
  } finally {
    tell('Stopping ...');
    await stage.close();
  }
}

function reportOn(options: RunOptions, stage: Stage, kinds: readonly FaultKind[], acted: Act): Report {
  const { seed, seconds, mode } = options;
  const { journal, scene, plan, faults, checks, quietAfter } = acted;
  const succeeded = succeededOf(journal);
  const done = new Set(faults.map(({ kind }) => kind));
  // A short run has no time for every kind.
  const left = plan.length < kinds.length ? [] : kinds.filter(({ name }) => !done.has(name));
  return {
    seed,
    mode,
    profile: options.profile ?? 'redis and sqlite',
    date: new Date().toISOString(),
    machine: machine(),
    seconds,
    faults: recoveries(faults, journal.accepted, scene.orders, Date.now()),
    missing: stage.missing,
    endedByItself: tally(acted.endedByItself),
    requests: Object.fromEntries(journal.tries),
    failures: Object.fromEntries(journal.failures),
    succeeded,
    orders: tally([...scene.orders.values()].map(({ order }) => order.status)),
    heldUp: heldUp(scene.orders),
    quietAfter,
    checks,
    vacuous: [
      ...(succeeded >= LEAST_SUCCEEDED
        ? []
        : [`only ${Math.round(100 * succeeded)} % of the first tries succeeded`]),
      ...(journal.accepted.size >= LEAST_ORDERS * seconds ? [] : [`only ${journal.accepted.size} orders`]),
      ...left.map(({ name }) => `no fault of the kind "${name}"`),
    ],
  };
}

/** Accepted orders a second, below which a run says nothing. */
const LEAST_ORDERS = 2;
