import type { RunningProcess } from '../machine/processes.ts';

/** A process that services and sidecars need, such as the broker or the mail catcher. */
export interface InfrastructureService {
  title: string;
  /** A message for the user if a running one is reused; undefined otherwise. */
  findRunning: () => Promise<string | undefined>;
  start: () => Promise<RunningProcess>;
  /** Whether services and sidecars can start before it is ready. */
  canStartLater?: boolean;
}
