import { setTimeout as delay } from 'node:timers/promises';
import type { Attack, Done, Field } from './attacks/attack.ts';
import { verifyAll, type Checked } from './checks/checks.ts';
import { deadLetters } from './checks/dead-letters.ts';
import type { Scene } from './checks/check.ts';
import { newJournal, type Journal } from './journal.ts';
import { waitFor } from '../support/wait.ts';
import { bringUp } from './kinds.ts';
import { startLoad, type LoadOptions } from './load.ts';
import { letIn } from './people.ts';
import type { Fault } from './schedule.ts';
import type { Shelf } from './shelf.ts';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import type { Admin } from '../../deploy/local/system/admin.ts';
import { supervise } from './supervise.ts';
import { findTaken, lastRequests } from './tail.ts';

export interface ActOptions {
  attack: Attack;
  /** What the load follows from. */
  seed: string;
  shelf: Shelf;
  customers: number;
  tabs?: LoadOptions['tabs'];
  /** Milliseconds that a customer rests between two requests, at most. */
  restMs: number;
  actions?: LoadOptions['actions'];
  /** After what was stopped is up again, before the last requests: what a platform's probes would take. Milliseconds. */
  settleMs: number;
  /** After the load's end, until every promise has to hold. Milliseconds. */
  quietMs: number;
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** Where an act takes place: what of a stage it needs. */
export interface Place {
  /** Gateways. Where there are several, customers who get no answer ask once more at another one. */
  doors: readonly string[];
  /** What is started again where it ends by itself. */
  units: ReadonlyMap<string, ManagedProcess>;
  system: { admin: Admin; urls: { mails: string } };
}

/** What an act came to. */
export interface Act {
  journal: Journal;
  scene: Scene;
  /** How long the load was there. Seconds. */
  seconds: number;
  faults: Done[];
  figures: Record<string, string>;
  /** Processes that ended though no fault was on them; they were started again. */
  endedByItself: string[];
  checks: Checked[];
  /** Milliseconds from the load's end until every promise held, or was given up. */
  quietAfter: number;
}

/** Attacks a system under load, waits until it is quiet, and checks every promise. */
export async function act(place: Place, options: ActOptions): Promise<Act> {
  const { seed, shelf, tabs, restMs, actions, signal, tell } = options;
  const { doors, system, units } = place;
  const journal = newJournal();
  const people = await letIn(doors, system.admin, options.customers);
  const held = holds();
  const supervisor = supervise(units, held.isHeld);
  const began = performance.now();
  const during: Field['during'] = (fault, doIt) => {
    const after = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
    tell(`${after} s, ${journal.accepted.size} orders; ${fault.kind}: ${fault.target}, ${fault.lasts} ms`);
    return held.during(fault, doIt);
  };
  try {
    const before = await waitFor(
      'the dead letters are listed',
      () => deadLetters(people.admin).catch(() => undefined),
      { until: (letters) => letters !== undefined },
    );
    const lettersBefore = new Set(before?.map(({ id }) => id));
    const load = startLoad({ people, journal, shelf, seed, tabs, restMs, actions });
    const attacked = await options
      .attack({ people, journal, during, signal, tell })
      .finally(() => load.stop());
    const loadEnded = performance.now();

    tell(`The load has ended: ${journal.accepted.size} orders. Waiting for quiet ...`);
    await Promise.all([...units.values()].map(bringUp));
    await delay(options.settleMs, undefined, { signal });
    const last = await lastRequests(people, journal, shelf);
    const answered: Checked = {
      name: 'answers',
      promise: 'A request that is sent again gets an answer in the end.',
      verified: journal.wanted.length + journal.restocks.length,
      violations: await load.settle(options.quietMs),
    };
    await findTaken(people, journal);
    const scene: Scene = {
      people,
      journal,
      shelf,
      lettersBefore,
      mails: system.urls.mails,
      orders: new Map(),
    };
    const checks = await verifyAll(scene, { deadlineMs: options.quietMs, signal });
    const quietAfter = performance.now() - loadEnded;
    const judged = attacked.judge?.(scene) ?? { checks: [], figures: {} };
    return {
      journal,
      scene,
      seconds: (loadEnded - began) / 1000,
      faults: attacked.faults,
      endedByItself: supervisor.endedByItself,
      checks: [last, answered, ...checks, ...judged.checks],
      figures: judged.figures,
      quietAfter,
    };
  } finally {
    await supervisor.stop();
    await people.close();
  }
}

/** Which processes a fault is on: they are its own to start again. */
function holds() {
  const held = new Map<string, number>();
  const add = (names: readonly string[], by: 1 | -1) => {
    for (const name of names) held.set(name, (held.get(name) ?? 0) + by);
  };
  return {
    isHeld: (name: string) => (held.get(name.replace(/-sidecar$/, '')) ?? 0) > 0,
    async during({ touches }: Fault, doIt: () => Promise<void>): Promise<void> {
      add(touches, 1);
      await doIt().finally(() => add(touches, -1));
    },
  };
}
