import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceUnderTest } from '../support/service-under-test.ts';
import { startUsers, type UsersUnderTest } from '../support/users-under-test.ts';

const ADA = { email: 'ada@example.com', password: 'correct horse' };
const ROTATION = 10_000;
const TTL = 60;
const CLOCKS_APART = 3_600;

let users: UsersUnderTest;
let service: ServiceUnderTest;
let replicas: UsersUnderTest['replicas'];
const pass = (seconds: number) => users.advanceClock(seconds);

beforeEach(async () => {
  users = await startUsers({
    tokenTtlSeconds: TTL,
    refreshTtlSeconds: 86_400,
    keyRotationSeconds: ROTATION,
  });
  ({ service, replicas } = users);
  await service.http.post('/api/users/register').send({ ...ADA, name: 'Ada' });
});
afterEach(() => service.stop());

const jwksOf = async (http = service.http) =>
  (await http.get('/.well-known/jwks.json')).body as JSONWebKeySet;
const kidsOf = async (http = service.http) => (await jwksOf(http)).keys.map(({ kid }) => kid);

async function newToken(http = service.http): Promise<string> {
  const response = await http.post('/api/users/login').send(ADA);
  expect(response.status).toBe(200);
  return (response.body as { access_token: string }).access_token;
}
const signerOf = async (http = service.http) => decodeProtectedHeader(await newToken(http)).kid;
const warnings = () => service.logs.filter(({ level }) => level === 'warn');

describe('the signing keys', () => {
  it('When a key is old enough, then the next is published at once and signs later, and the old one is removed last', async () => {
    const [old] = await kidsOf();
    pass(ROTATION - 1);
    expect(await kidsOf()).toEqual([old]);
    pass(31);
    const kids = await kidsOf();
    expect(kids).toEqual([old, expect.any(String)]);
    expect(await signerOf()).toBe(old);
    pass(119);
    expect(await signerOf()).toBe(old);
    pass(1);
    expect(await signerOf()).toBe(kids[1]);
    pass(30 + TTL + 2 * CLOCKS_APART);
    expect(await kidsOf()).toEqual(kids);
    pass(31);
    expect(await kidsOf()).toEqual([kids[1]]);
  });

  it.each([
    ['the same', 0],
    ['an hour ahead', CLOCKS_APART],
    ['an hour behind', -CLOCKS_APART],
  ])(
    'When keys rotate and the clock of one replica is %s, then each token is valid for its whole life',
    async (_, aheadSeconds) => {
      users.clockSkewSeconds[1] = aheadSeconds;
      const issued: { token: string; at: number }[] = [];
      for (const seconds of [
        0,
        ROTATION - 40,
        50,
        40,
        40,
        40,
        CLOCKS_APART,
        40,
        40,
        CLOCKS_APART,
        40,
        40,
        40,
      ]) {
        pass(seconds);
        for (const http of replicas) issued.push({ token: await newToken(http), at: users.now().getTime() });
        const isYoung = ({ at }: { at: number }) => users.now().getTime() - at < TTL * 1000;
        for (const { token, at } of issued.filter(isYoung))
          for (const replica of replicas)
            await jwtVerify(token, createLocalJWKSet(await jwksOf(replica)), {
              currentDate: new Date(at),
              clockTolerance: CLOCKS_APART,
            });
      }
      expect(new Set(issued.map(({ token }) => decodeProtectedHeader(token).kid)).size).toBe(2);
    },
    20_000,
  );

  it('When the clock was years fast for a moment, then keys still rotate', async () => {
    users.clockSkewSeconds[0] = 10 * 365 * 86_400;
    pass(31);
    await kidsOf();
    users.clockSkewSeconds[0] = 0;
    pass(31);
    const kids = await kidsOf();
    pass(151);
    expect(await signerOf()).toBe(kids.at(-1));
    pass(ROTATION);
    expect(await kidsOf()).not.toEqual(kids);
  });

  it.each([-1, 1])(
    'When the clock is set by %i years, then the store is read no more often',
    async (years) => {
      await kidsOf();
      let reads = 0;
      service.sidecar.onStateCall(
        ({ op, keys }) => void (reads += op === 'read' && keys.includes('signing-keys') ? 1 : 0),
      );
      users.clockSkewSeconds[0] = years * 365 * 86_400;
      pass(29);
      await kidsOf();
      expect(reads).toBe(0);
      pass(1);
      await kidsOf();
      await kidsOf();
      expect(reads).toBe(1);
    },
  );

  it('When two replicas find a key too old at once, then they add one new key', async () => {
    pass(ROTATION + 30);
    const [one, other] = await Promise.all(replicas.map((http) => kidsOf(http)));
    expect(one).toHaveLength(2);
    expect(one).toEqual(other);
  });

  it('When another replica has added a key, then it is known half a minute later', async () => {
    pass(ROTATION - 20);
    expect(await kidsOf(replicas[1])).toHaveLength(1);
    pass(20);
    const kids = await kidsOf(replicas[0]);
    expect(kids).toHaveLength(2);
    expect(await kidsOf(replicas[1])).toHaveLength(1);
    pass(10);
    expect(await kidsOf(replicas[1])).toEqual(kids);
  });

  it('When the store is unavailable, then the known keys stay in use, and a warning is logged', async () => {
    const before = await kidsOf();
    pass(ROTATION);
    service.sidecar.fail('state', 2);
    expect(await kidsOf()).toEqual(before);
    expect(await kidsOf()).toEqual(before);
    expect(warnings()).toHaveLength(1);
    pass(1);
    expect(await kidsOf()).toEqual(before);
    expect(warnings()).toHaveLength(2);
    pass(1);
    expect(await kidsOf()).toHaveLength(2);
  });

  it('When keys are added, then no private key is published or logged', async () => {
    pass(ROTATION + 30);
    expect(JSON.stringify(await jwksOf())).not.toContain('"d"');
    const stored = service.sidecar.documents.get('signing-keys')!.value as { jwk: { d: string } }[];
    for (const { jwk } of stored) expect(JSON.stringify(service.logs)).not.toContain(jwk.d);
  });
});
