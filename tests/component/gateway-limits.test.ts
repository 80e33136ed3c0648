import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/gateway/app.ts';
import { createRedisStore } from '../../services/gateway/limits/rate-limit-store.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { stubUsersService, createKey, signToken, type Key } from '../support/access-tokens.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { TIMED } from '../support/timed.ts';

let key: Key;
beforeAll(async () => {
  key = await createKey('one');
});

const limits = () => ({ default: 4, api: 3, auth: 2 });
let service: ServiceUnderTest;
let now: Date;
beforeEach(async () => {
  now = new Date('2026-01-01T00:00:00Z');
  service = await startService((deps) =>
    createApp({ ...deps, ...gatewayOptions(), limits, now: () => now, trustedProxies: ['loopback'] }),
  );
  stubUsersService(service.sidecar, { keys: [key] });
  service.sidecar.answer('orders', () => ({ status: 200 }));
});
afterEach(() => service.stop());

const tokenOf = async (sub: string) => ({
  authorization: `Bearer ${await signToken(key, { sub, exp: now.getTime() / 1000 + 3_600 })}`,
});
const order = (headers: Record<string, string>) =>
  service.http.get(`/api/orders/${randomUUID()}`).set(headers);
const logIn = (address: string) =>
  service.http.post('/api/users/login').set('x-forwarded-for', address).send({});
async function statuses(times: number, ask: () => PromiseLike<{ status: number }>): Promise<number[]> {
  const seen: number[] = [];
  for (let count = 0; count < times; count++) seen.push((await ask()).status);
  return seen;
}

describe('rate limits', () => {
  it('When a caller exceeds the limit, then 429 has the time to retry', async () => {
    const ada = await tokenOf(randomUUID());
    expect(await statuses(3, () => order(ada))).toEqual([200, 200, 200]);
    const limited = await order(ada);
    expect([limited.status, limited.body.type]).toEqual([429, 'urn:sidecart:problem:too-many-requests']);
    const after = Number(limited.headers['retry-after']);
    expect(after).toBeGreaterThan(0);
    now = new Date(now.getTime() + after * 1_000);
    expect((await order(ada)).status).toBe(200);
  });

  it('When a caller is limited, then others are not, and a new token does not help', async () => {
    const id = randomUUID();
    const first = await tokenOf(id);
    await statuses(4, () => order(first));
    expect((await order(await tokenOf(id))).status).toBe(429);
    expect((await order(await tokenOf(randomUUID()))).status).toBe(200);
  });

  it('When requests are left, then the headers have the policy and the remaining number', async () => {
    const response = await order(await tokenOf(randomUUID()));
    expect(response.headers['ratelimit-policy']).toMatch(/^"api"; q=3; w=60; pk=:[^:]+:$/);
    expect(response.headers['ratelimit']).toMatch(/^"api"; r=2; t=\d+$/);
    expect(response.headers).not.toHaveProperty('x-ratelimit-limit');
  });

  it('When the previous window was full, then the remaining number is what the limit lets through', async () => {
    const ada = await tokenOf(randomUUID());
    await statuses(3, () => order(ada));
    now = new Date(now.getTime() + 80_000);
    const { headers } = await order(ada);
    expect(headers['ratelimit']).toMatch(/^"api"; r=0;/);
    expect((await order(ada)).status).toBe(429);
  });

  it('When a method has no route, then the request counts, too', async () => {
    expect(await statuses(5, () => service.http.delete('/api/orders'))).toEqual([405, 405, 405, 405, 429]);
  });

  it('When clients log in or register, then both count together for the address', async () => {
    expect(await statuses(2, () => logIn('192.0.2.1'))).toEqual([200, 200]);
    const register = service.http.post('/api/users/register').set('x-forwarded-for', '192.0.2.1').send({});
    expect((await register).status).toBe(429);
    expect((await logIn('192.0.2.2')).status).toBe(200);
  });

  it('When addresses are in one IPv6 network, then they count as one caller', async () => {
    await statuses(2, () => logIn('2001:db8:1::1'));
    expect((await logIn('2001:db8:1::2')).status).toBe(429);
    expect((await logIn('2001:db8:2::1')).status).toBe(200);
  });

  it.each([(port: number) => `203.0.113.7:${port}`, (port: number) => `[2001:db8:1::1]:${port}`])(
    'When the proxy adds the port of each connection, then it is still one caller (%#)',
    async (address) => {
      let port = 40_000;
      expect(await statuses(3, () => logIn(address(port++)))).toEqual([200, 200, 429]);
    },
  );

  it('When tokens are forged, then the address is counted, and limited in the end', async () => {
    const sendForgedToken = () =>
      order({ authorization: `Bearer ${randomUUID()}`, 'x-forwarded-for': '192.0.2.3' });
    expect(await statuses(5, sendForgedToken)).toEqual([401, 401, 401, 401, 429]);
    // A caller with a token is not affected by other clients at the same address.
    const ada = { ...(await tokenOf(randomUUID())), 'x-forwarded-for': '192.0.2.3' };
    expect((await order(ada)).status).toBe(200);
  });

  it('When probes call, then they are never limited', async () => {
    expect(new Set(await statuses(20, () => service.http.get('/healthz')))).toEqual(new Set([200]));
    expect(await statuses(20, () => service.http.get('/health'))).not.toContain(429);
  });

  it('When a path has no route, then the request still counts', async () => {
    expect(await statuses(5, () => service.http.get('/nowhere'))).toEqual([404, 404, 404, 404, 429]);
  });
});

describe('addresses', () => {
  it('When no proxy is trusted, then an address in a header is ignored', async () => {
    await service.stop();
    service = await startService((deps) =>
      createApp({ ...deps, ...gatewayOptions(), limits, now: () => now }),
    );
    stubUsersService(service.sidecar, { keys: [key] });
    expect(await statuses(3, () => logIn(`192.0.2.${Math.random()}`))).toEqual([200, 200, 429]);
  });
});

describe('counting with an unavailable Redis', () => {
  const log = createLogger('test', 'silent');
  const window = { limit: 2, lengthMs: 60_000 };

  it.each([
    ['is not there', undefined],
    ['accepts connections and does not respond', () => {}],
  ])(
    'When it %s, then this replica counts in memory, and requests do not wait',
    TIMED,
    async (_, listener) => {
      const server = createServer(listener);
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      if (!listener) await new Promise((resolve) => void server.close(resolve));
      const store = createRedisStore(`redis://127.0.0.1:${port}`, log);
      const started = performance.now();
      const allowed: boolean[] = [];
      for (let count = 0; count < 3; count++) allowed.push((await store.consume('a', 1_000, window)).allowed);
      expect(allowed).toEqual([true, true, false]);
      expect(performance.now() - started).toBeLessThan(1_000);
      await store.close();
      server.close();
    },
  );
});
