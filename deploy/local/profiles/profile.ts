import type { Files } from '../configuration/component-files.ts';
import type { Ports } from '../configuration/ports.ts';
import type { Part } from '../infrastructure/infrastructure-service.ts';

/** Other parts than those that components/ describes. What it does not replace stays: Redis, SQLite files, names in a file. */
export interface Profile {
  name: string;
  /** Titles among `parts`, each where it has one of its own: what is there instead of Redis, of files, and of the file of names. */
  broker?: string;
  databaseServer?: string;
  nameServer?: string;
  /** The component files as they are with this profile. */
  layOver: (committed: Files) => Files;
  /** What has to be replaced in its files where the system is on other ports. */
  replacements: (ports: Ports) => [from: string, to: string][];
  /** The programs that it needs, found or built. Each is shown as a step. */
  programs: { title: string; find: (tell: (what: string) => void) => Promise<unknown> }[];
  parts: (options: { ports: Ports; dataDir: string; logDir: string }) => Part[];
  /** A page of it for people, and what they need for it. */
  page?: (options: { ports: Ports; dataDir: string }) => { title: string; where: string };
}
