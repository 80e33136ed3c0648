import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLoginThrottle } from '../../services/users/store/login-throttle-store.ts';
import { asCaller, fromNetwork, type ServiceUnderTest } from '../support/service-under-test.ts';
import { NIL } from 'uuid';
import { startUsers, type UsersUnderTest } from '../support/users-under-test.ts';
import { createSidecarClient } from '../support/service-under-test.ts';

const ADA = { email: 'ada@example.com', password: 'correct horse' };
const UNKNOWN_EMAIL = 'nobody@example.com';
/** The maximum of concurrent password checks in one replica. */
const TURNS = 2;

let users: UsersUnderTest;
let service: ServiceUnderTest;
let replicas: UsersUnderTest['replicas'];
let ada: string;
const pass = (seconds: number) => users.advanceClock(seconds);

beforeEach(async () => {
  users = await startUsers({
    tokenTtlSeconds: 3600,
    refreshTtlSeconds: 86_400,
    keyRotationSeconds: 86_400,
  });
  ({ service, replicas } = users);
  const response = await service.http.post('/api/users/register').send({ ...ADA, name: 'Ada' });
  ada = (response.body as { user_id: string }).user_id;
});
afterEach(() => service.stop());

const logIn = (email = ADA.email, password = ADA.password, http = service.http) =>
  http.post('/api/users/login').send({ email, password });
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

describe('failed logins', () => {
  it('When five failed in a row, then the next attempt has to wait, even with the right password', async () => {
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
    const response = await logIn();
    expect([response.status, response.headers['retry-after']]).toEqual([429, '1']);
    expect((response.body as { type: string }).type).toBe('urn:sidecart:problem:too-many-attempts');
    pass(1);
    expect(await statusOf()).toBe(200);
  });

  it('When logins keep failing, then the delays double up to a minute', async () => {
    await failTimes(5);
    const delays: string[] = [];
    for (let nr = 0; nr < 8; nr++) {
      const wait = (await logIn()).headers['retry-after']!;
      delays.push(wait);
      pass(Number(wait));
      expect(await fail()).toBe(401);
    }
    expect(delays).toEqual(['1', '2', '4', '8', '16', '32', '60', '60']);
  });

  it('When the address is unknown, then the responses are the same', async () => {
    const [known, unknown] = [await failTimes(7), await failTimes(7, UNKNOWN_EMAIL)];
    expect(unknown).toEqual(known);
    const [one, other] = [await logIn(), await logIn(UNKNOWN_EMAIL)];
    expect({ ...other.body, request_id: '' }).toEqual({ ...one.body, request_id: '' });
    expect(other.headers['retry-after']).toBe(one.headers['retry-after']);
  });

  it('When the address has another spelling, then it is the same account', async () => {
    await failTimes(5);
    expect(await fail(' ADA@example.com')).toBe(429);
  });

  it('When the attempt has to wait, then it does not count', async () => {
    await failTimes(20);
    expect(failuresKept()).toEqual([5]);
  });

  it('When a login succeeds, then earlier failures do not count', async () => {
    await failTimes(4);
    expect(await statusOf()).toBe(200);
    expect(failuresKept()).toEqual([]);
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it('When an hour has passed, then earlier failures do not count', async () => {
    await failTimes(5);
    pass(3600);
    expect(await failTimes(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it('When others have failed, then no other account has to wait', async () => {
    await failTimes(6, UNKNOWN_EMAIL);
    expect(await statusOf()).toBe(200);
  });

  it('When an account is throttled, then an audit line has its id, and nothing else', async () => {
    await failTimes(6, UNKNOWN_EMAIL);
    await failTimes(6);
    expect(throttled()).toMatchObject([{ level: 'warn', user_id: ada, seconds: 1 }]);
    const stored = JSON.stringify([...service.sidecar.documents.keys()]);
    for (const words of [stored, JSON.stringify(service.logs)]) expect(words).not.toContain('example.com');
  });
});

describe('concurrent logins', () => {
  it('When many are wrong, then they are checked only up to the limit', async () => {
    await failTimes(4);
    const statuses = await Promise.all(Array.from({ length: 20 }, () => fail()));
    const tried = statuses.filter((status) => status === 401).length;
    expect(tried).toBeGreaterThanOrEqual(1);
    expect(tried).toBeLessThanOrEqual(TURNS);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20 - tried);
  });

  it('When they come to two replicas, then every failure counts', async () => {
    const statuses = await Promise.all([0, 1, 0, 1].map((nr) => statusOf(ADA.email, 'wrong', replicas[nr])));
    expect(statuses).toEqual([401, 401, 401, 401]);
    expect(failuresKept()).toEqual([4]);
  });

  it('When failures are counted at the same moment, then each one counts', async () => {
    const clients = [0, 1].map(() => createSidecarClient(service.sidecar.port));
    const throttles = clients.map(({ state }) => createLoginThrottle({ state, now: users.now }));
    await Promise.all(
      [...throttles, ...throttles, ...throttles].map((one) =>
        one.countFailure({ email: UNKNOWN_EMAIL, userId: NIL, network: undefined }),
      ),
    );
    expect(failuresKept()).toEqual([6]);
    for (const client of clients) await client.close();
  });

  it('When many are right, then all succeed', async () => {
    const statuses = await Promise.all(Array.from({ length: 12 }, () => statusOf()));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe('guesses from other networks', () => {
  const HOME = '192.0.2.1';
  const unknownNetwork = (nr: number) => `198.51.100.${nr}`;
  const tryFrom = async (network: string, password = ADA.password, email = ADA.email) =>
    (await logIn(email, password).set(fromNetwork(network))).status;
  /** Each guess comes from another network, after the required delay. */
  async function guessForOneHour(): Promise<number[]> {
    const statuses: number[] = [];
    for (let nr = 0; nr < 20; nr++) {
      statuses.push(await tryFrom(unknownNetwork(nr), 'wrong horse'));
      pass(Math.min(60, 2 ** Math.max(0, nr - 4)));
    }
    return statuses;
  }

  it('When an attacker keeps guessing, then the owner can log in at once from a known network', async () => {
    expect(await tryFrom(HOME)).toBe(200);
    expect(new Set(await guessForOneHour())).toEqual(new Set([401]));
    expect(await tryFrom(unknownNetwork(99), 'wrong horse')).toBe(401);
    expect(await tryFrom(HOME)).toBe(200);
    expect(await tryFrom(unknownNetwork(98))).toBe(429);
  });

  it('When an account was registered there, then the network is known', async () => {
    const eve = { email: 'eve@example.com', password: ADA.password, name: 'Eve' };
    expect((await service.http.post('/api/users/register').set(fromNetwork(HOME)).send(eve)).status).toBe(
      201,
    );
    for (let nr = 0; nr < 5; nr++) await tryFrom(unknownNetwork(nr), 'wrong horse', eve.email);
    expect(await tryFrom(unknownNetwork(6), ADA.password, eve.email)).toBe(429);
    expect(await tryFrom(HOME, ADA.password, eve.email)).toBe(200);
  });

  it('When guesses come from many networks, then each one delays all unknown networks', async () => {
    for (let nr = 0; nr < 5; nr++) expect(await tryFrom(unknownNetwork(nr), 'wrong horse')).toBe(401);
    for (let nr = 5; nr < 10; nr++) expect(await tryFrom(unknownNetwork(nr), 'wrong horse')).toBe(429);
  });

  it('When they come from a known network, then only that network has to wait', async () => {
    await tryFrom(HOME);
    for (let nr = 0; nr < 5; nr++) expect(await tryFrom(HOME, 'wrong horse')).toBe(401);
    expect([await tryFrom(HOME), await tryFrom(unknownNetwork(1))]).toEqual([429, 200]);
  });

  it('When the network is known for another account, then it is unknown for this one', async () => {
    await service.http.post('/api/users/register').send({ ...ADA, email: UNKNOWN_EMAIL, name: 'Nobody' });
    expect(await tryFrom(HOME, ADA.password, UNKNOWN_EMAIL)).toBe(200);
    await failTimes(5);
    expect(await tryFrom(HOME)).toBe(429);
  });

  it('When the address changes, then the networks of the account stay known', async () => {
    await tryFrom(HOME);
    const email = 'lovelace@example.com';
    const body = { email, current_password: ADA.password };
    expect((await service.http.put(`/api/users/${ada}`).set(asCaller(ada)).send(body)).status).toBe(200);
    await failTimes(5, email);
    expect(await tryFrom(HOME, ADA.password, email)).toBe(200);
  });

  it('When no login came from there for ninety days, then it is unknown again', async () => {
    await tryFrom(HOME);
    pass(90 * 86_400);
    await failTimes(5);
    expect(await tryFrom(HOME)).toBe(429);
  });

  it('When a network is known, then only a hash of it is saved', async () => {
    await tryFrom(HOME);
    await tryFrom(HOME, 'wrong horse');
    expect(JSON.stringify([...service.sidecar.documents])).not.toContain(HOME);
    expect(JSON.stringify(service.logs)).not.toContain(HOME);
  });
});

describe('replicas whose clocks differ by an hour', () => {
  it.each([3600, -3600])(
    'When the second clock is %i s ahead, then the delays are those of one replica',
    async (seconds) => {
      users.clockSkewSeconds[1] = seconds;
      for (const failing of replicas) {
        for (let nr = 0; nr < 7; nr++) await statusOf(ADA.email, 'wrong horse', failing);
        // A second more than the delay: by then its document has expired.
        pass(62);
        for (const http of replicas) expect(await statusOf(ADA.email, ADA.password, http)).toBe(200);
      }
    },
  );

  it.each([3600, -3600])(
    'When the second clock is %i s ahead, then an hour of guessing allows at most two guesses per delay',
    async (seconds) => {
      users.clockSkewSeconds[1] = seconds;
      let tried = 0;
      for (let second = 0; second < 600; second += 10) {
        for (const http of replicas) if ((await statusOf(ADA.email, 'wrong horse', http)) === 401) tried += 1;
        pass(10);
      }
      // At one replica: 5 without a delay, 5 with short delays, and then one per minute.
      expect(tried).toBeLessThanOrEqual(2 * (5 + 6 + 10));
    },
    20_000,
  );
});
