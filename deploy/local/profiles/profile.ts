import type { Files } from '../configuration/component-files.ts';
import type { Ports } from '../configuration/ports.ts';
import type { InfrastructureService } from '../infrastructure/infrastructure-service.ts';

/** An alternative to the infrastructure in components/. By default that is Redis, SQLite files and a file with the names of services. */
export interface Profile {
  name: string;
  /** Titles in `infrastructure`, if the profile replaces Redis, the SQLite files or the file with names. */
  broker?: string;
  databaseServer?: string;
  nameServer?: string;
  /** Returns the component files of this profile. */
  applyOverlay: (committed: Files) => Files;
  /** Replacements in the component files for these ports. */
  replacements: (ports: Ports) => [from: string, to: string][];
  /** The programs of the profile. `npm start` shows a step for each. */
  programs: { title: string; find: (onProgress: (step: string) => void) => Promise<unknown> }[];
  infrastructure: (options: { ports: Ports; dataDir: string; logDir: string }) => InfrastructureService[];
  /** A web page for users, with its address and what they need there. */
  webPage?: (options: { ports: Ports; dataDir: string }) => { title: string; address: string };
}
