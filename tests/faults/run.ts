import { setMaxListeners } from 'node:events';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { describeMachine } from '../support/machine.ts';
import { act, type Act, type ActOptions } from './act.ts';
import type { Attack } from './attacks/attack.ts';
import { faults } from './attacks/faults.ts';
import { overload } from './attacks/overload.ts';
import { upgrade } from './attacks/upgrade.ts';
import type { FaultKind } from './kinds.ts';
import { heldUp, recoveries } from './recovery.ts';
import { succeededOf, type Report } from './report.ts';
import { shelf, type Shelf } from './shelf.ts';
import { startStage, type Stage, type StageOptions } from './stage.ts';
import { tally } from './tally.ts';

export const MODES = ['faults', 'mischief', 'upgrade', 'overload'] as const;
/** `mischief`: faults, and every message twice, late and in any order. */
export type Mode = (typeof MODES)[number];

export interface RunOptions {
  seed: string;
  /** Seconds of faults, or of too much load; an upgrade takes as long as it takes. */
  seconds: number;
  mode: Mode;
  /** Other parts, by the name of their profile. */
  profile?: string | undefined;
  /** The kinds of fault, by name; not given: all that this machine allows. */
  only?: readonly string[] | undefined;
  /** Milliseconds that a customer rests between two requests, at most; not given: as the mode has it. More is less load. */
  restMs?: number | undefined;
  portOffset: number;
  /** Everything of the run is kept in a folder of its own in here, and left there. */
  scratch: string;
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** What makes a mode. */
interface Course {
  stage: Pick<StageOptions, 'proxies' | 'replicas'>;
  load: Pick<ActOptions, 'customers' | 'tabs' | 'restMs'>;
  /** With a broker that carries less: with more load than two cores carry, waiting would be all that one sees. */
  brokerRestMs?: number;
  /** Whether its faults are of the stage's kinds. */
  byKinds: boolean;
  attack: (stage: Stage, kinds: readonly FaultKind[], options: RunOptions, products: Shelf) => Attack;
  /** Of the first tries, so many have to succeed: else the checks have little to look at. */
  leastSucceeded: number;
}

const BY_FAULTS: Course = {
  stage: { proxies: false },
  // Many who ask seldom: with few, all of them would soon wait for a replica that is frozen.
  load: { customers: 48, tabs: 6, restMs: 18_000 },
  brokerRestMs: 40_000,
  byKinds: true,
  attack: (_stage, kinds, { seed, seconds }) => faults({ seed, seconds, kinds }),
  leastSucceeded: 0.7,
};

const COURSES: Readonly<Record<Mode, Course>> = {
  faults: BY_FAULTS,
  mischief: { ...BY_FAULTS, stage: { proxies: true } },
  upgrade: {
    stage: {
      proxies: false,
      replicas: Object.fromEntries(readTemplate().apps.map(({ appID }) => [appID, 2])),
    },
    load: { customers: 16, restMs: 1_500 },
    byKinds: false,
    attack: ({ system }) => upgrade(system),
    leastSucceeded: 1,
  },
  overload: {
    stage: { proxies: false },
    // They are there besides; the attack brings a crowd of its own.
    load: { customers: 16, restMs: 5_000 },
    byKinds: false,
    attack: (_stage, _kinds, { seconds }, products) => overload(products, seconds),
    leastSucceeded: 0,
  },
};

/** Accepted orders a second, below which a run says nothing. */
const LEAST_ORDERS = 2;

/** Starts a system, has it attacked, and reports. */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, mode, signal, tell } = options;
  const course = COURSES[mode];
  // Every fault waits for it.
  setMaxListeners(0, signal);
  const products = shelf('shop');
  tell(`Seed ${seed}. Starting a system at port ${8080 + options.portOffset} ...`);
  const stage = await startStage({ ...options, ...course.stage, shelves: [products] });
  try {
    signal.throwIfAborted();
    if (mode === 'mischief') stage.mischief('twice and late');
    const isWanted = ({ name }: FaultKind) => course.byKinds && (options.only?.includes(name) ?? true);
    const kinds = stage.kinds.filter(isWanted);
    const acted = await act(stage, {
      seed,
      shelf: products,
      ...course.load,
      restMs: restMsOf(course, options),
      attack: course.attack(stage, kinds, options, products),
      settleMs: 15_000,
      quietMs: 240_000,
      signal,
      tell,
    });
    return reportOn(options, stage, kinds, acted);
  } finally {
    tell('Stopping ...');
    await stage.close();
  }
}

function restMsOf({ load, brokerRestMs }: Course, { profile, restMs }: RunOptions): number {
  return restMs ?? (findProfile(profile)?.broker ? brokerRestMs : undefined) ?? load.restMs;
}

function reportOn(options: RunOptions, stage: Stage, kinds: readonly FaultKind[], acted: Act): Report {
  const { seed, mode } = options;
  const { journal, scene, seconds, figures, checks, quietAfter } = acted;
  const { leastSucceeded } = COURSES[mode];
  const succeeded = succeededOf(journal);
  const done = new Set(acted.faults.map(({ kind }) => kind));
  // A short run has no time for every kind.
  const left = acted.faults.length < kinds.length ? [] : kinds.filter(({ name }) => !done.has(name));
  return {
    seed,
    mode,
    profile: options.profile ?? 'redis and sqlite',
    date: new Date().toISOString(),
    machine: describeMachine(),
    seconds,
    faults: recoveries(acted.faults, journal.accepted, scene.orders),
    missing: stage.missing,
    endedByItself: tally(acted.endedByItself),
    requests: Object.fromEntries(journal.tries),
    failures: Object.fromEntries(journal.failures),
    succeeded,
    orders: tally([...scene.orders.values()].map(({ order }) => order.status)),
    heldUp: heldUp(scene.orders),
    quietAfter,
    figures,
    checks,
    vacuous: [
      ...(succeeded >= leastSucceeded
        ? []
        : [`only ${Math.floor(1000 * succeeded) / 10} % of the first tries succeeded`]),
      ...(journal.accepted.size >= LEAST_ORDERS * seconds ? [] : [`only ${journal.accepted.size} orders`]),
      ...left.map(({ name }) => `no fault of the kind "${name}"`),
    ],
  };
}
