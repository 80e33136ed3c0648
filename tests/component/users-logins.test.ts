import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loginThrottle } from '../../services/users/login-throttle-store.ts';
import type { ServiceUnderTest } from '../support/service-under-test.ts';
import { startUsers, type UsersUnderTest } from '../support/users-under-test.ts';
import { sidecarAt } from '../support/service-under-test.ts';

const ADA = { email: 'ada@example.com', password: 'correct horse' };
const NOBODY = 'nobody@example.com';
/** Passwords that are verified at once, in one replica. */
const TURNS = 2;

let users: UsersUnderTest;
let service: ServiceUnderTest;
let doors: UsersUnderTest['doors'];
let ada: string;
const pass = (seconds: number) => users.pass(seconds);

beforeEach(async () => {
  users = await startUsers({
    tokenTtlSeconds: 3600,
    refreshTtlSeconds: 86_400,
    keyRotationSeconds: 86_400,
  });
  ({ service, doors } = users);
  const response = await service.door.post('/api/users/register').send({ ...ADA, name: 'Ada' });
  ada = (response.body as { user_id: string }).user_id;
});
afterEach(() => service.stop());

const logIn = (email = ADA.email, password = ADA.password, door = service.door) =>
  door.post('/api/users/login').send({ email, password });
const statusOf = async (...credentials: Parameters<typeof logIn>) => (await logIn(...credentials)).status;
const fail = async (email = ADA.email) => statusOf(email, 'wrong horse');

async function failTimes(count: number, email = ADA.email): Promise<number[]> {
  const statuses: number[] = [];
  for (let nr = 0; nr < count; nr++) statuses.push(await fail(email));
  return statuses;
}

const failuresKept = () =>
  [...service.sidecar.documents].flatMap(([key, { value }]) =>
    key.startsWith('logins:') ? [(value as { count: number }).count] : [],
  );
const throttled = () => service.logs.filter((line) => line['audit'] === 'login-throttled');

describe('Failures to log in', () => {
  it('When there were five in a row, then the next attempt waits, even with the right password', async () => {
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
    const response = await logIn();
    expect([response.status, response.headers['retry-after']]).toEqual([429, '1']);
    expect((response.body as { type: string }).type).toBe('urn:sidecart:problem:too-many-attempts');
    pass(1);
    expect(await statusOf()).toBe(200);
  });

  it('When it goes on failing, then the waits double up to a minute', async () => {
    await failTimes(5);
    const waits: string[] = [];
    for (let nr = 0; nr < 8; nr++) {
      const wait = (await logIn()).headers['retry-after']!;
      waits.push(wait);
      pass(Number(wait));
      expect(await fail()).toBe(401);
    }
    expect(waits).toEqual(['1', '2', '4', '8', '16', '32', '60', '60']);
  });

  it('When nobody has the address, then the answers are the same', async () => {
    const [known, unknown] = [await failTimes(7), await failTimes(7, NOBODY)];
    expect(unknown).toEqual(known);
    const [one, other] = [await logIn(), await logIn(NOBODY)];
    expect({ ...other.body, request_id: '' }).toEqual({ ...one.body, request_id: '' });
    expect(other.headers['retry-after']).toBe(one.headers['retry-after']);
  });

  it('When the address is written in another way, then it is the same', async () => {
    await failTimes(5);
    expect(await fail(' ADA@example.com')).toBe(429);
  });

  it('When the attempt has to wait, then it counts for nothing', async () => {
    await failTimes(20);
    expect(failuresKept()).toEqual([5]);
  });

  it('When somebody logs in, then what was before does not count', async () => {
    await failTimes(4);
    expect(await statusOf()).toBe(200);
    expect(failuresKept()).toEqual([]);
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it('When an hour has passed, then what was before does not count, though the store still has it', async () => {
    await failTimes(5);
    pass(3600);
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it('When others have failed, then nobody else waits', async () => {
    await failTimes(6, NOBODY);
    expect(await statusOf()).toBe(200);
  });

  it('When an account is slowed down, then an audit line names it, and nothing else of it', async () => {
    await failTimes(6, NOBODY);
    await failTimes(6);
    expect(throttled()).toMatchObject([{ level: 'warn', user_id: ada, seconds: 1 }]);
    const kept = JSON.stringify([...service.sidecar.documents.keys()]);
    for (const words of [kept, JSON.stringify(service.logs)]) expect(words).not.toContain('example.com');
  });
});

describe('Attempts to log in at once', () => {
  it('When many are wrong, then no more of them are tried than have a turn at once', async () => {
    await failTimes(4);
    const statuses = await Promise.all(Array.from({ length: 20 }, () => fail()));
    const tried = statuses.filter((status) => status === 401).length;
    expect(tried).toBeGreaterThanOrEqual(1);
    expect(tried).toBeLessThanOrEqual(TURNS);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20 - tried);
  });

  it('When they come to two replicas, then every failure counts', async () => {
    const statuses = await Promise.all([0, 1, 0, 1].map((nr) => statusOf(ADA.email, 'wrong', doors[nr])));
    expect(statuses).toEqual([401, 401, 401, 401]);
    expect(failuresKept()).toEqual([4]);
  });

  it('When failures are counted at the same moment, then each one counts', async () => {
    const clients = [0, 1].map(() => sidecarAt(service.sidecar.port));
    const throttles = clients.map(({ state }) => loginThrottle({ state, now: users.now }));
    await Promise.all([...throttles, ...throttles, ...throttles].map((one) => one.countFailure(NOBODY)));
    expect(failuresKept()).toEqual([6]);
    for (const client of clients) await client.close();
  });

  it('When many are right, then all get in', async () => {
    const statuses = await Promise.all(Array.from({ length: 12 }, () => statusOf()));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});
