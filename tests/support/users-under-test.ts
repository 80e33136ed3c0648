import { expect, vi } from 'vitest';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { createApp, type UsersDeps } from '../../services/users/app.ts';
import { doorOf, startService, type ServiceUnderTest } from './service-under-test.ts';
import { quickPasswords } from './quick-passwords.ts';

/** Two replicas of users over one store, and a clock that stands still until it is moved. */
export interface UsersUnderTest {
  /** The first replica. */
  service: ServiceUnderTest;
  doors: [ServiceUnderTest['door'], ServiceUnderTest['door']];
  now: () => Date;
  /** How far the clock of each replica is ahead of the true time. */
  aheadSeconds: [number, number];
  pass: (seconds: number) => void;
}

type Lifetimes = Pick<UsersDeps, 'tokenTtlSeconds' | 'refreshTtlSeconds' | 'keyRotationSeconds'>;

/** Resolves when both are ready. */
export async function startUsers(lifetimes: Lifetimes): Promise<UsersUnderTest> {
  let time = Date.parse('2026-03-01T00:00:00.000Z');
  const now = () => new Date(time);
  const aheadSeconds: UsersUnderTest['aheadSeconds'] = [0, 0];
  let doors: UsersUnderTest['doors'] | undefined;
  const service = await startService((deps) => {
    const replica = (nr: 0 | 1) =>
      createApp({
        ...deps,
        ...lifetimes,
        metrics: createMetrics(),
        passwords: quickPasswords(),
        now: () => new Date(time + aheadSeconds[nr] * 1000),
        clock: () => time,
      });
    const [one, other] = [replica(0), replica(1)];
    doors = [doorOf(one), doorOf(other)];
    return one;
  });
  if (!doors) throw new Error('there are no replicas');
  service.sidecar.now = () => time;
  for (const door of doors)
    await vi.waitFor(async () => expect((await door.get('/readyz')).status).toBe(200), 5_000);
  return { service, doors, now, aheadSeconds, pass: (seconds) => void (time += seconds * 1000) };
}
