import type { CheckContext } from '../checks/check.ts';
import type { CheckResult } from '../checks/checks.ts';
import type { Journal } from '../journal.ts';
import type { Users } from '../users.ts';
import type { Fault } from '../schedule.ts';

/** An attack on a system while customers use it. The load stops when it resolves. */
export type Attack = (context: AttackContext) => Promise<AttackResult>;

/** The means of an attack. */
export interface AttackContext {
  users: Users;
  journal: Journal;
  /** Runs a fault. Until `execute` resolves, the supervisor does not restart the affected processes. */
  runFault: (fault: Fault, execute: () => Promise<void>) => Promise<void>;
  signal: AbortSignal;
  print: (line: string) => void;
}

/** The result of an attack. */
export interface AttackResult {
  faults: CompletedFault[];
  /** Evaluates additional promises of this attack, after the other checks. */
  evaluate?: (context: CheckContext) => Evaluation;
}

export interface Evaluation {
  checks: CheckResult[];
  /** Measured values with their units. */
  figures: Record<string, string>;
}

/** A fault that has ended. Times are in milliseconds of the wall clock. */
export interface CompletedFault extends Fault {
  startedAt: number;
  /** When the stopped processes were ready again. */
  endedAt: number;
}
