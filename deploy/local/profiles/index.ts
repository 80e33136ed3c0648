import { consul } from './consul/profile.ts';
import { natsPostgres } from './nats-postgres/profile.ts';
import type { Profile } from './profile.ts';

export const PROFILES: readonly Profile[] = [natsPostgres, consul];

/** The profile of this name; undefined without a name. @throws Error that lists the profiles, if the name is unknown */
export function findProfile(name: string | undefined): Profile | undefined {
  if (name === undefined) return undefined;
  const profile = PROFILES.find((one) => one.name === name);
  if (profile) return profile;
  const known = PROFILES.map((one) => one.name).join(', ');
  throw new Error(`Unknown profile "${name}". Use ${known}, or omit --profile for Redis and SQLite.`);
}
