import type { Files } from './component-files.ts';
import type { Part } from './infrastructure.ts';
import { natsPostgres } from './nats-postgres.ts';
import type { Ports } from './ports.ts';

/** Another broker and another store than those of components/, and so no Redis. */
export interface Profile {
  name: string;
  /** Titles among `parts`: its broker, and its store where that is no file. */
  broker: string;
  databaseServer: string;
  /** The component files as they are with this profile. */
  layOver: (committed: Files) => Files;
  /** What has to be replaced in its files where the system is on other ports. */
  replacements: (ports: Ports) => [from: string, to: string][];
  /** The programs that it needs, found or built. Each is shown as a step. */
  programs: { title: string; find: (tell: (what: string) => void) => Promise<unknown> }[];
  parts: (options: { ports: Ports; dataDir: string; logDir: string }) => Part[];
}

const PROFILES: Profile[] = [natsPostgres];

/** The profile of this name; none without one. @throws Error with the names that there are, where this is none of them */
export function profileOf(name: string | undefined): Profile | undefined {
  if (name === undefined) return undefined;
  const found = PROFILES.find((profile) => profile.name === name);
  if (found) return found;
  const known = PROFILES.map((profile) => profile.name).join(', ');
  throw new Error(
    `There is no profile "${name}". There is: ${known}; and without --profile, Redis and SQLite.`,
  );
}
