import { consul } from './consul/profile.ts';
import { natsPostgres } from './nats-postgres/profile.ts';
import type { Profile } from './profile.ts';

const PROFILES: Profile[] = [natsPostgres, consul];

/** The profile of this name; none without one. @throws Error with the names that there are, where this is none of them */
export function profileOf(name: string | undefined): Profile | undefined {
  if (name === undefined) return undefined;
  const found = PROFILES.find((profile) => profile.name === name);
  if (found) return found;
  const known = PROFILES.map((profile) => profile.name).join(', ');
  throw new Error(`Unknown profile "${name}". Use ${known}, or omit --profile for Redis and SQLite.`);
}
