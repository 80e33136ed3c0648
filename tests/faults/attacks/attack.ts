import type { Scene } from '../checks/check.ts';
import type { Checked } from '../checks/checks.ts';
import type { Journal } from '../journal.ts';
import type { People } from '../people.ts';
import type { Fault } from '../schedule.ts';

/** What is done to a system while its customers use it; they stop when it resolves. */
export type Attack = (field: Field) => Promise<Attacked>;

/** What an attack has at hand. */
export interface Field {
  people: People;
  journal: Journal;
  /** Calls `doIt`, which does the fault and resolves when it is over: until then nobody else starts what it has stopped. */
  during: (fault: Fault, doIt: () => Promise<void>) => Promise<void>;
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** What an attack came to. */
export interface Attacked {
  faults: Done[];
  /** What it promises beside what every act does; asked when all is quiet. */
  judge?: (scene: Scene) => Judgement;
}

export interface Judgement {
  checks: Checked[];
  /** What was measured, with its unit. */
  figures: Record<string, string>;
}

/** A fault that was done. Times are those of the wall clock, in milliseconds. */
export interface Done extends Fault {
  began: number;
  /** When what it stopped was up again. */
  ended: number;
}
