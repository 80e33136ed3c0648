import { expect, vi } from 'vitest';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { createApp, type UsersDeps } from '../../services/users/app.ts';
import { createHttpClient, startService, type ServiceUnderTest } from './service-under-test.ts';
import { createFastPasswords } from './fast-passwords.ts';

/** Two replicas of `users` over one store, and a clock that only the test moves. */
export interface UsersUnderTest {
  /** The first replica. */
  service: ServiceUnderTest;
  replicas: [ServiceUnderTest['http'], ServiceUnderTest['http']];
  now: () => Date;
  /** By how many seconds the clock of each replica is fast. */
  clockSkewSeconds: [number, number];
  advanceClock: (seconds: number) => void;
}

type Lifetimes = Pick<UsersDeps, 'tokenTtlSeconds' | 'refreshTtlSeconds' | 'keyRotationSeconds'>;

/** Resolves when both replicas are ready. */
export async function startUsers(lifetimes: Lifetimes): Promise<UsersUnderTest> {
  let time = Date.parse('2026-03-01T00:00:00.000Z');
  const now = () => new Date(time);
  const clockSkewSeconds: UsersUnderTest['clockSkewSeconds'] = [0, 0];
  let replicas: UsersUnderTest['replicas'] | undefined;
  const service = await startService((deps) => {
    const createReplicaApp = (index: 0 | 1) =>
      createApp({
        ...deps,
        ...lifetimes,
        metrics: createMetrics(),
        passwords: createFastPasswords(),
        now: () => new Date(time + clockSkewSeconds[index] * 1000),
        clock: () => time,
      });
    const [first, second] = [createReplicaApp(0), createReplicaApp(1)];
    replicas = [createHttpClient(first), createHttpClient(second)];
    return first;
  });
  if (!replicas) throw new Error('there are no replicas');
  service.sidecar.now = () => time;
  for (const http of replicas)
    await vi.waitFor(async () => expect((await http.get('/readyz')).status).toBe(200), 5_000);
  return {
    service,
    replicas,
    now,
    clockSkewSeconds,
    advanceClock: (seconds) => void (time += seconds * 1000),
  };
}
