import { decodeJwt, type JSONWebKeySet } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { createApp, type UsersDeps } from '../../services/users/app.ts';
import {
  createHttpClient,
  createSidecarClient,
  startService,
  type ServiceUnderTest,
} from '../support/service-under-test.ts';
import { createFastPasswords } from '../support/fast-passwords.ts';

const ADMIN = { email: 'boss@example.com', password: 'battery staple' };

const OWN = {
  tokenTtlSeconds: 60,
  refreshTtlSeconds: 86_400,
  keyRotationSeconds: 86_400,
  passwords: createFastPasswords(),
  now: () => new Date(),
  clock: () => performance.now(),
};

let service: ServiceUnderTest;

const ready = (http: ServiceUnderTest['http']) =>
  vi.waitFor(async () => expect((await http.get('/readyz')).status).toBe(200), 5_000);

async function start(more: Partial<UsersDeps> = {}): Promise<ServiceUnderTest> {
  const started = await startService((deps) => createApp({ ...deps, ...OWN, ...more }));
  await ready(started.http);
  return started;
}

beforeEach(async () => void (service = await start()));
afterEach(() => service.stop());

const logIn = (credentials: object) => service.http.post('/api/users/login').send(credentials);
const jwksOf = async ({ http }: Pick<ServiceUnderTest, 'http'>) =>
  (await http.get('/.well-known/jwks.json')).body as JSONWebKeySet;

/** Starts two replicas with one store at the same moment. */
async function startTwoReplicas(more: Partial<UsersDeps> = {}) {
  const replicas: ServiceUnderTest['http'][] = [];
  await service.stop();
  service = await startService((deps) => {
    const replica = () => createApp({ ...deps, metrics: createMetrics(), ...OWN, ...more });
    replicas.push(createHttpClient(replica()));
    const last = replica();
    replicas.push(createHttpClient(last));
    return last;
  });
  for (const http of replicas) await ready(http);
  return replicas;
}

/** Starts the service again with the same store. */
async function restart(more: Partial<UsersDeps>) {
  const sidecar = createSidecarClient(service.sidecar.port);
  const restarted = await start({ sidecar, ...more });
  await sidecar.close();
  await restarted.stop();
  return restarted;
}

async function roleOf(credentials: object): Promise<unknown> {
  const { access_token } = (await logIn(credentials)).body as { access_token: string };
  return decodeJwt(access_token)['role'];
}

describe('the signing key', () => {
  it('When the public keys are read, then none of them is private', async () => {
    const response = await service.http.get('/.well-known/jwks.json');
    expect(response.headers['cache-control']).toBe('public, max-age=60');
    expect(Object.keys((response.body as JSONWebKeySet).keys[0] ?? {}).toSorted()).toEqual(
      ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'].toSorted(),
    );
  });

  it('When the service restarts, then the key is the same', async () => {
    const sidecar = createSidecarClient(service.sidecar.port);
    const restarted = await start({ sidecar });
    expect(await jwksOf(restarted)).toEqual(await jwksOf(service));
    await sidecar.close();
    await restarted.stop();
  });
});

describe('the start', () => {
  it('When two replicas start at once, then they have the same key', async () => {
    const [one, other] = await Promise.all((await startTwoReplicas()).map((http) => jwksOf({ http })));
    expect(one?.keys).toHaveLength(1);
    expect(one).toEqual(other);
  });

  it('When two replicas start at once, then they create one administrator', async () => {
    await startTwoReplicas({ admin: ADMIN });
    expect(service.publishedEvents('user.registered').map(({ data }) => data['user'])).toEqual([
      expect.objectContaining({ email: ADMIN.email, role: 'admin' }),
    ]);
  });

  it('When the first administrator logs in, then the token has the role', async () => {
    await startTwoReplicas({ admin: ADMIN });
    expect(await roleOf(ADMIN)).toBe('admin');
  });

  it('When the administrator exists, then another password in the settings changes nothing', async () => {
    await startTwoReplicas({ admin: ADMIN });
    const before = structuredClone(service.sidecar.documents);
    await restart({ admin: { ...ADMIN, password: 'another one' } });
    expect(service.sidecar.documents).toEqual(before);
  });

  it('When a customer has the address, then they stay a customer and a warning is logged', async () => {
    await service.http.post('/api/users/register').send({ ...ADMIN, name: 'Eve' });
    const restarted = await restart({ admin: ADMIN });
    expect(restarted.logs.filter(({ level }) => level === 'warn')).toHaveLength(1);
    expect(await roleOf(ADMIN)).toBe('customer');
  });

  it('When the store is unavailable, then the service responds with 503 until it is back', async () => {
    await service.stop();
    service = await startService((deps) => createApp({ ...deps, ...OWN }));
    service.sidecar.fail('state');
    expect((await service.http.get('/readyz')).status).toBe(503);
    expect((await logIn(ADMIN)).status).toBe(503);
    await ready(service.http);
    expect((await logIn(ADMIN)).status).toBe(401);
  });
});
