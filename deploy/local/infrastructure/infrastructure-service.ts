import type { Running } from '../machine/processes.ts';

/** One part of what stands around the services. */
export interface Part {
  title: string;
  /** What is there already and may be used instead, if anything: said to the user. */
  found: () => Promise<string | undefined>;
  start: () => Promise<Running>;
  /** Services and sidecars start without it. */
  canComeLater?: boolean;
}
