import type { Files } from './component-files.ts';
import { consul } from './consul.ts';
import type { Part } from './infrastructure.ts';
import { natsPostgres } from './nats-postgres.ts';
import type { Ports } from './ports.ts';

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

const PROFILES: Profile[] = [natsPostgres, consul];

/** The profile of this name; none without one. @throws Error with the names that there are, where this is none of them */
export function profileOf(name: string | undefined): Profile | undefined {
  if (name === undefined) return undefined;
  const found = PROFILES.find((profile) => profile.name === name);
  if (found) return found;
  const known = PROFILES.map((profile) => profile.name).join(', ');
  throw new Error(`Unknown profile "${name}". Use ${known}, or omit --profile for Redis and SQLite.`);
}
