import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Express } from 'express';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import request from 'supertest';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp, type GatewayDeps } from '../../services/gateway/app.ts';
import { config } from '../../services/gateway/config.ts';
import { MAX_HEADER_BYTES } from '../../services/gateway/http/api-router.ts';
import { createOperatorApp } from '../../services/gateway/http/operator.ts';
import { routes } from '../../services/gateway/routes.ts';
import { SERVICES } from '../../services/services.ts';
import { loadConfig } from '../../services/shared/runtime/config.ts';
import { closeServer, listen } from '../../services/shared/http/listen.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../services/users/contract.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { stubUsersService, createKey, signToken, type Claims, type Key } from '../support/access-tokens.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { waitFor } from '../support/wait.ts';
import { slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { EMPTY_BODY } from '../support/fake-sidecar.ts';
import { TIMED } from '../support/timed.ts';

const BACK_ENDS = SERVICES.map(({ name }) => name).filter((name) => name !== 'gateway');
const START = new Date('2026-01-01T00:00:00Z');
const ADA = randomUUID();
const SESSION = randomUUID();
const ORDER = randomUUID();

let key: Key;
let otherKey: Key;
let edKey: Key;
beforeAll(async () => {
  [key, otherKey, edKey] = await Promise.all([createKey('one'), createKey('two'), createKey('ed', 'EdDSA')]);
});

let service: ServiceUnderTest;
let now: Date;
/** The monotonic clock, in milliseconds. */
let elapsed: number;
let app: Express;
let deps: GatewayDeps;
beforeEach(async () => {
  now = START;
  elapsed = 0;
  ended = [];
  era = 0;
  service = await startService((shared) => {
    deps = { ...shared, ...gatewayOptions(), now: () => now, clock: () => elapsed };
    return (app = createApp(deps));
  });
  for (const name of BACK_ENDS)
    service.sidecar.answer(name, (call) => ({ status: 200, body: { served_by: name, path: call.path } }));
  publish(key);
});
afterEach(() => service.stop());

/** Lets `users` serve these keys. */
function publish(...keys: Key[]): void {
  stubUsersService(service.sidecar, {
    keys,
    ended: () => ended,
    era: () => era,
    otherwise: { served_by: 'users' },
  });
}
/** The revoked sessions that `users` lists. */
let ended: unknown[] = [];
/** The token era that `users` reports. */
let era = 0;

/** Advances the clocks. `setClock` sets the wall clock in addition. */
function later(ms: number): void {
  elapsed += ms;
  setClock(ms);
}
const setClock = (ms: number) => (now = new Date(now.getTime() + ms));

const seconds = (date: Date) => Math.floor(date.getTime() / 1000);

const tokenOf = (claims: Claims = {}, signer = key) =>
  signToken(signer, { sub: ADA, exp: seconds(START) + 3600, sid: SESSION, ...claims });
const bearer = async (claims?: Claims, signer?: Key) => ({
  authorization: `Bearer ${await tokenOf(claims, signer)}`,
});
const asAdmin = () => bearer({ role: 'admin' });

/** The calls to services, except those for keys. */
const QUESTIONS = new Set(['/.well-known/jwks.json', '/sessions/revoked']);
const forwarded = () => service.sidecar.calls.filter(({ path }) => !QUESTIONS.has(path));
const keyFetches = () => service.sidecar.calls.filter(({ path }) => path === '/.well-known/jwks.json').length;

/** An example path of the route. */
const example = (path: string) =>
  path
    .replace(':product_id', 'mug-blue')
    .replace('dead-letters/:id', `dead-letters/${'0a'.repeat(16)}`)
    .replaceAll(/:\w+/g, ORDER);

describe('the table', () => {
  const cases = routes.map((route) => [`${route.method} ${route.path}`, route] as const);
  const forwardedCases = cases.filter(([, { service: name }]) => name !== 'gateway');

  it.each(forwardedCases)(
    'When %s is called with permission, then its service gets the request at the same path',
    async (_, route) => {
      const { method, path, access, body } = route;
      const headers = access === 'public' ? {} : await bearer({ role: access });
      const verb = method.toLowerCase() as 'post';
      const asked = service.http[verb](`${example(path)}?password=battery`).set(headers);
      const response = await (body ? asked.send({}) : asked);
      expect(response.status).toBe(200);
      expect(service.sidecar.calls.at(-1)).toMatchObject({
        target: route.service,
        method,
        path: example(path),
      });
    },
  );

  it.each(cases.filter(([, { access }]) => access !== 'public'))(
    'When %s is called without a token, then 401 and nothing is forwarded',
    async (_, { method, path }) => {
      const response = await service.http[method.toLowerCase() as 'get'](example(path));
      expect([response.status, response.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      expect(service.sidecar.calls).toEqual([]);
    },
  );

  it.each(cases.filter(([, { access }]) => access === 'admin'))(
    'When %s is called by a customer, then 403 and nothing is forwarded',
    async (_, { method, path }) => {
      const response = await service.http[method.toLowerCase() as 'get'](example(path)).set(await bearer());
      expect([response.status, slugOf(response)]).toEqual([403, 'forbidden']);
      expect(forwarded()).toEqual([]);
    },
  );

  it('When it is read, then only these routes are public', () => {
    const open = routes.filter(({ access }) => access === 'public').map(({ path }) => path);
    expect(open).toEqual([
      '/health',
      '/openapi.json',
      '/asyncapi.json',
      '/api/users/register',
      '/api/users/login',
      '/api/users/token',
      '/.well-known/jwks.json',
    ]);
  });

  it.each([
    '/',
    '/api',
    '/api/orders/',
    '/API/orders',
    '/api/orders/1/2/3',
    '/products',
    '/events/order.paid',
    '/job/x',
    '/v1.0/state',
  ])('When %s is requested, then 404 as a problem document', async (path) => {
    const response = await service.http
      .post(path)
      .set(await asAdmin())
      .set('content-type', 'text/plain')
      .send('x');
    expect([response.status, response.headers['content-type']]).toEqual([
      404,
      'application/problem+json; charset=utf-8',
    ]);
    expect(service.sidecar.calls).toEqual([]);
  });

  it.each([
    ['DELETE', '/api/orders', 'POST, GET, HEAD, OPTIONS'],
    ['PATCH', `/api/orders/${ORDER}`, 'GET, HEAD, OPTIONS'],
    ['GET', '/api/users/login', 'POST, OPTIONS'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
    ['POST', '/docs', 'GET, HEAD, OPTIONS'],
  ])('When %s %s is called, then 405 lists the allowed methods', async (method, path, allow) => {
    const response = await service.http[method.toLowerCase() as 'get'](path);
    expect([response.status, response.headers['allow']]).toEqual([405, allow]);
    expect(slugOf(response)).toBe('method-not-allowed');
  });

  it('When OPTIONS is called, then 204 lists the allowed methods', async () => {
    const response = await service.http.options('/api/users/42');
    expect([response.status, response.headers['allow']]).toEqual([204, 'GET, PUT, DELETE, HEAD, OPTIONS']);
  });

  it('When HEAD is called on a GET route, then the response is that of GET without the body', async () => {
    service.sidecar.answer('orders', () => ({ status: 200, headers: { etag: '"3"' }, body: { a: 1 } }));
    const response = await service.http.head(`/api/orders/${ORDER}`).set(await bearer());
    expect([response.status, response.headers['etag'], response.text]).toEqual([200, '"3"', undefined]);
    expect(forwarded()[0]).toMatchObject({ method: 'GET' });
  });
});

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
function changed(token: string): string {
  const [header, payload = '', signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  return [header, encoded({ ...claims, role: 'admin' }), signature].join('.');
}
function signedWithPublicKey(): Promise<string> {
  return new SignJWT({ role: 'admin' })
    .setProtectedHeader({ alg: 'HS256', kid: key.jwk.kid! })
    .setSubject(ADA)
    .setIssuer(TOKEN_ISSUER)
    .setAudience(TOKEN_AUDIENCE)
    .setExpirationTime(seconds(START) + 3600)
    .sign(Buffer.from(JSON.stringify(key.jwk)));
}

const ask = (headers: Record<string, string>) => service.http.get(`/api/orders/${ORDER}`).set(headers);

describe('sessions that have ended', () => {
  const statusOf = async (claims?: Claims) => (await ask(await bearer(claims))).status;

  it('When the session of a valid token ends, then the token is rejected after five seconds', async () => {
    expect(await statusOf()).toBe(200);
    ended = [{ session_id: SESSION }];
    later(5_000);
    const response = await ask(await bearer());
    expect([response.status, response.headers['www-authenticate']]).toEqual([
      401,
      'Bearer error="invalid_token"',
    ]);
    expect(await statusOf({ sid: randomUUID() })).toBe(200);
  });

  it.each<[string, number, string, number]>([
    ['an older one', 0, randomUUID(), 401],
    ['one that began after that', 1, randomUUID(), 200],
    ['the one that is excepted', 0, SESSION, 200],
  ])(
    'When the sessions of a user ended and the token is %s, then it is rejected or accepted accordingly',
    async (_, token_version, sid, status) => {
      ended = [{ user_id: ADA, token_version: 1, except: SESSION }];
      expect(await statusOf({ ver: token_version, sid })).toBe(status);
      expect(await statusOf({ sub: randomUUID() })).toBe(200);
    },
  );

  it('When a new era begins, then tokens of earlier eras and tokens without one are rejected', async () => {
    expect([await statusOf(), await statusOf({ era: 1 })]).toEqual([200, 200]);
    era = 1;
    later(5_000);
    expect([await statusOf(), await statusOf({ era: 1 }), await statusOf({ era: 2 })]).toEqual([
      401, 200, 200,
    ]);
  });

  it('When there are many requests, then users is called at most once per second', async () => {
    const asked = () => service.sidecar.calls.filter(({ path }) => path === '/sessions/revoked').length;
    await Promise.all(Array.from({ length: 10 }, () => statusOf()));
    expect(asked()).toBe(1);
    later(900);
    await statusOf();
    expect(asked()).toBe(1);
    later(1_000);
    await statusOf();
    await waitFor('users is called again', () => asked(), { until: (count) => count === 2 });
  });

  it.each([-3_600_000, 3_600_000])(
    'When the clock is set by %i ms meanwhile, then the token is still rejected after five seconds',
    async (ms) => {
      const longLived = { exp: seconds(START) + 2 * 3_600 };
      expect(await statusOf(longLived)).toBe(200);
      setClock(ms);
      ended = [{ session_id: SESSION }];
      later(5_000);
      expect(await statusOf(longLived)).toBe(401);
    },
  );

  describe('when the request is a change', () => {
    const cancel = async (http = service.http, claims?: Claims) =>
      (await http.post(`/api/orders/${ORDER}/cancel`).set(await bearer(claims))).status;
    const asked = () => service.sidecar.calls.filter(({ path }) => path === '/sessions/revoked').length;

    /** Lets `users` respond with its present list, once the response is released. */
    function holdUsers(): () => void {
      let release = () => {};
      const released = new Promise<void>((resolve) => (release = resolve));
      service.sidecar.answer('users', async () => {
        const items = [...ended];
        await released;
        return { status: 200, body: { items } };
      });
      return release;
    }

    it('When the session ended a moment ago, then the token is rejected at once, at every replica', async () => {
      const other = request(createApp({ ...deps, metrics: createMetrics() }));
      expect([await statusOf(), await cancel(), await cancel(other)]).toEqual([200, 200, 200]);
      ended = [{ user_id: ADA, token_version: 1 }];
      expect([await cancel(), await cancel(other)]).toEqual([401, 401]);
      expect(forwarded().filter(({ method }) => method === 'POST')).toHaveLength(2);
    });

    it.each(routes.filter(({ method, access }) => method !== 'GET' && access !== 'public'))(
      'When it is $method $path, then the token is rejected at once',
      async ({ method, path, access, body }) => {
        const lower = method.toLowerCase() as 'post';
        const claims = { role: access };
        expect(await statusOf(claims)).toBe(200);
        ended = [{ session_id: SESSION }];
        const change = service.http[lower](example(path)).set(await bearer(claims));
        expect((await (body ? change.send({}) : change)).status).toBe(401);
      },
    );

    it('When the list in progress may be outdated, then the request waits for the next one', async () => {
      expect(await statusOf()).toBe(200);
      const release = holdUsers();
      const first = cancel(service.http, { sub: randomUUID(), sid: randomUUID() });
      await waitFor('the list is requested', () => asked(), { until: (count) => count === 2 });
      ended = [{ session_id: SESSION }];
      const second = cancel();
      release();
      expect([await first, await second]).toEqual([200, 401]);
    });

    it('When many requests arrive at once, then they share two calls: the current one and the next one', async () => {
      const headers = await bearer();
      expect((await ask(headers)).status).toBe(200);
      const release = holdUsers();
      let arrived = 0;
      const http = request((req: IncomingMessage, res: ServerResponse) => {
        app(req, res);
        arrived += 1;
      });
      const changes = Array.from({ length: 30 }, () =>
        http
          .post(`/api/orders/${ORDER}/cancel`)
          .set(headers)
          .then(({ status }) => status),
      );
      await waitFor('all have come', () => arrived, { until: (count) => count === 30 });
      expect(asked()).toBe(2);
      release();
      expect(new Set(await Promise.all(changes))).toEqual(new Set([200]));
      expect(asked()).toBe(3);
    });

    it('When users is unavailable, then the last list counts, and requests do not wait', async () => {
      ended = [{ session_id: SESSION }];
      const other = { sid: randomUUID() };
      expect(await statusOf(other)).toBe(200);
      service.sidecar.answer('users', () => ({ status: 503 }));
      expect([await cancel(), await cancel(service.http, other)]).toEqual([401, 200]);
      const release = holdUsers();
      later(60_000);
      expect([await cancel(), await cancel(service.http, other)]).toEqual([401, 200]);
      release();
    });
  });

  it('When users becomes unavailable, then the last list still counts', async () => {
    ended = [{ session_id: SESSION }];
    expect(await statusOf({ sid: randomUUID() })).toBe(200);
    service.sidecar.answer('users', () => ({ status: 503 }));
    later(60_000);
    expect(await statusOf({ sid: randomUUID() })).toBe(200);
    expect(await statusOf()).toBe(401);
  });

  it('When users has never responded and hangs, then requests do not wait for it', TIMED, async () => {
    await statusOf();
    service.sidecar.answer('users', () => ({ status: 503 }));
    later(60_000);
    await statusOf();
    let pendingCalls = 0;
    service.sidecar.answer('users', () => {
      pendingCalls += 1;
      return new Promise(() => {});
    });
    later(60_000);
    const started = performance.now();
    expect(await statusOf()).toBe(200);
    expect(performance.now() - started).toBeLessThan(800);
    await waitFor('users is called', () => pendingCalls, { until: (count) => count > 0 });
  });

  it('When there has never been a list, then the response is 503', async () => {
    const other = createApp({ ...deps, metrics: createMetrics() });
    service.sidecar.answer('users', ({ path }) =>
      path === '/sessions/revoked' ? { status: 503 } : { status: 200, body: { keys: [key.jwk] } },
    );
    const response = await request(other)
      .get(`/api/orders/${ORDER}`)
      .set(await bearer());
    expect(response.status).toBe(503);
  });
});

describe('access tokens', () => {
  it('When a token is valid, then the service gets the caller', async () => {
    await ask(await bearer());
    expect(forwarded()[0]?.headers).toMatchObject({ 'x-caller-id': ADA, 'x-caller-role': 'customer' });
  });

  it('When a token is signed with EdDSA, then it is valid', async () => {
    publish(edKey);
    expect((await ask(await bearer({}, edKey))).status).toBe(200);
  });

  it('When the scheme is in lower case, then the token is accepted', async () => {
    expect((await ask({ authorization: `bearer ${await tokenOf()}` })).status).toBe(200);
  });

  const wrong: [string, () => Promise<string>][] = [
    ['is no JWT', async () => 'nonsense'],
    ['has expired', () => tokenOf({ exp: seconds(START) - 1 })],
    ['is not valid yet', () => tokenOf({ nbf: seconds(START) + 60 })],
    ['is from another issuer', () => tokenOf({ iss: 'someone' })],
    ['is for another audience', () => tokenOf({ aud: 'another' })],
    ['names no user', () => tokenOf({ sub: 'root' })],
    ['names no role', () => tokenOf({ role: undefined })],
    ['names a role that there is not', () => tokenOf({ role: 'owner' })],
    ['is signed with another key', () => tokenOf({}, { ...otherKey, jwk: key.jwk })],
    ['is changed after it was signed', async () => changed(await tokenOf())],
    ['is not signed', async () => `${encoded({ alg: 'none' })}.${(await tokenOf()).split('.')[1]}.`],
    ['is signed with a public key as a shared secret', () => signedWithPublicKey()],
  ];
  it.each(wrong)('When a token %s, then 401 and nothing is forwarded', async (_, make) => {
    const response = await ask({ authorization: `Bearer ${await make()}` });
    expect([response.status, slugOf(response)]).toEqual([401, 'unauthenticated']);
    expect(response.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
    expect(forwarded()).toEqual([]);
  });

  it.each(['Basic YTpi', 'Bearer', 'Bearer a b', ''])(
    'When the authorization is "%s", then 401 asks for a token',
    async (authorization) => {
      const response = await ask({ authorization });
      expect([response.status, response.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    },
  );

  it('When a token expires after its first use, then it is rejected', async () => {
    const headers = await bearer();
    expect((await ask(headers)).status).toBe(200);
    later(3_600_000);
    expect((await ask(headers)).status).toBe(401);
  });

  it('When many tokens arrive, then the keys are fetched once', async () => {
    const tokens = await Promise.all(Array.from({ length: 10 }, () => bearer({ sub: randomUUID() })));
    const answers = await Promise.all(tokens.map(ask));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(10).fill(200));
    expect(keyFetches()).toBe(1);
  });

  it('When users adds a key, then its tokens are valid', async () => {
    await ask(await bearer());
    publish(key, otherKey);
    later(5_000);
    expect((await ask(await bearer({}, otherKey))).status).toBe(200);
  });

  it('When the clock was an hour fast and is corrected, then a new key is found after five seconds', async () => {
    setClock(3_600_000);
    expect((await ask(await bearer({ exp: seconds(now) + 3_600 }))).status).toBe(200);
    setClock(-3_600_000);
    publish(key, otherKey);
    later(5_000);
    expect((await ask(await bearer({}, otherKey))).status).toBe(200);
  });

  it('When users removes a key, then its tokens are rejected within a minute, including cached ones', async () => {
    const seen = await bearer();
    expect((await ask(seen)).status).toBe(200);
    publish(otherKey);
    later(61_000);
    await waitFor('the token is rejected', async () => (await ask(seen)).status, {
      until: (status) => status === 401,
    });
    expect((await ask(await bearer({}, otherKey))).status).toBe(200);
  });

  it('When a token names an unknown key and users hangs, then requests with known keys do not wait', async () => {
    expect((await ask(await bearer())).status).toBe(200);
    later(6_000);
    let pendingCalls = 0;
    service.sidecar.answer('users', ({ path }) => {
      if (path === '/sessions/revoked') return { status: 200, body: { items: [] } };
      pendingCalls += 1;
      return new Promise(() => {});
    });
    const withUnknownKey = ask(await bearer({}, otherKey)).then(
      () => 'answered',
      () => 'failed',
    );
    await waitFor('users is called', () => pendingCalls, { until: (count) => count === 1 });
    expect((await ask(await bearer({ sub: randomUUID() }))).status).toBe(200);
    await service.sidecar.close();
    expect(await withUnknownKey).toBe('answered');
  });

  it('When users has a key for another algorithm, then its tokens are invalid', async () => {
    const weak = await createKey('weak', 'RS256');
    publish(weak);
    expect((await ask(await bearer({}, weak))).status).toBe(401);
  });

  it('When tokens name unknown keys, then users is not called for each of them', async () => {
    for (let n = 0; n < 5; n++) expect((await ask(await bearer({}, otherKey))).status).toBe(401);
    expect(keyFetches()).toBe(1);
  });

  it('When users is unavailable and no key is known, then 503 until users is back', async () => {
    service.sidecar.fail('invoke');
    const response = await ask(await bearer());
    expect([response.status, response.headers['retry-after']]).toEqual([503, '1']);
    expect((await ask(await bearer())).status).toBe(200);
  });

  it('When users is starting and has no keys, then 503', async () => {
    service.sidecar.answer('users', () => ({ status: 503 }));
    expect((await ask(await bearer())).status).toBe(503);
  });

  it('When users is unavailable and the key is known, then tokens stay valid', async () => {
    await ask(await bearer());
    service.sidecar.answer('users', () => ({ status: 503 }));
    later(60_000);
    expect((await ask(await bearer({}, otherKey))).status).toBe(503);
    expect((await ask(await bearer({ sub: randomUUID() }))).status).toBe(200);
  });

  it('When a request is logged, then the log has no token', async () => {
    const { authorization } = await bearer();
    await ask({ authorization });
    await ask({ authorization: `${authorization}x` });
    expect(JSON.stringify(service.logs)).not.toContain(authorization.split('.')[1]);
  });
});

/** Sends raw bytes, such as no HTTP client sends, and returns the response. */
async function sendRaw(head: string, body = ''): Promise<string> {
  const server = await listen(app, 0, '127.0.0.1', { maxHeaderBytes: MAX_HEADER_BYTES });
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`${head}\r\nhost: shop\r\nconnection: close\r\n\r\n${body}`);
  const answer = await text(socket);
  await closeServer(server);
  return answer;
}

describe('requests that no service could accept', () => {
  it.each(['x', '%00', '..%2F..%2Fproducts', '%7B%7D', ORDER.slice(1), `${ORDER}0`])(
    'When the id of an order is %s, then 404 and nothing is forwarded',
    async (id) => {
      const response = await service.http.get(`/api/orders/${id}`).set(await bearer());
      expect([response.status, slugOf(response)]).toEqual([404, 'not-found']);
      expect(forwarded()).toEqual([]);
    },
  );

  it('When a required body is missing, then 422 and nothing is forwarded', async () => {
    const response = await service.http.post('/api/orders').set(await bearer());
    expect([response.status, slugOf(response)]).toEqual([422, 'invalid-input']);
    expect(forwarded()).toEqual([]);
  });

  it('When a body is optional, then it may be missing', async () => {
    const response = await service.http.post(`/api/orders/${ORDER}/cancel`).set(await bearer());
    expect(response.status).toBe(200);
  });

  it.each([
    // `curl -X POST -d ''` sends this.
    ['of no length', 'content-type: application/x-www-form-urlencoded\r\ncontent-length: 0', ''],
    ['in no chunks', 'content-type: text/plain\r\ntransfer-encoding: chunked', '0\r\n\r\n'],
    ['in another charset', 'content-type: text/plain; charset=latin1\r\ncontent-length: 0', ''],
  ])(
    'When a body %s comes with a type, then it counts as missing: no type is forwarded',
    async (_, head, body) => {
      const { authorization } = await bearer();
      const cancel = `POST /api/orders/${ORDER}/cancel HTTP/1.1\r\nauthorization: ${authorization}`;
      expect(await sendRaw(`${cancel}\r\n${head}`, body)).toMatch(/^HTTP\/1.1 200/);
      expect(forwarded()[0]?.headers).not.toHaveProperty('content-type');
      const login = await sendRaw(`POST /api/users/login HTTP/1.1\r\n${head}`, body);
      expect(login).toMatch(/^HTTP\/1.1 422/);
    },
  );

  it('When a body of another type comes in chunks, then 415 and nothing is forwarded', async () => {
    const head = 'content-type: text/plain\r\ntransfer-encoding: chunked';
    const answer = await sendRaw(`POST /api/users/login HTTP/1.1\r\n${head}`, '2\r\n{}\r\n0\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 415/);
    expect(forwarded()).toEqual([]);
  });
});

describe('forwarding a request', () => {
  it('When it has a body, then the body is forwarded unchanged, with its length', async () => {
    const body = '{ "quantity":  1e0 }';
    await service.http
      .post('/api/orders')
      .set(await bearer())
      .type('json')
      .send(body);
    expect(forwarded()[0]).toMatchObject({
      body: { quantity: 1 },
      headers: { 'content-length': String(body.length), 'content-type': 'application/json' },
    });
  });

  it.each([
    ['status=PAID&limit=2', 'status=PAID&limit=2'],
    ['access_token=secret&limit=2&password=secret', 'limit=2'],
    ['limit=2&limit=x', 'limit=2&limit=x'],
    ['cursor=a%2Bb%20c', 'cursor=a%2Bb+c'],
    ['limit=%', 'limit=%25'],
    ['constructor=secret&limit=2', 'limit=2'],
  ])(
    'When its query is %s, then %s is forwarded, without parameters that the route lacks',
    async (given, passed) => {
      await service.http.get(`/api/orders?${given}`).set(await bearer());
      expect(forwarded()[0]?.path).toBe(`/api/orders?${passed}`);
    },
  );

  it('When it is chunked, then it is forwarded with a length', async () => {
    const chunks = '3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n';
    const type = 'content-type: application/json\r\ntransfer-encoding: chunked';
    expect(await sendRaw(`POST /api/users/login HTTP/1.1\r\n${type}`, chunks)).toMatch(/^HTTP\/1.1 200/);
    expect(forwarded()[0]).toMatchObject({ body: { a: 1 }, headers: { 'content-length': '7' } });
    expect(forwarded()[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  it('When it has known headers, then they are forwarded, and others are not', async () => {
    const passing = {
      accept: 'application/json',
      'idempotency-key': 'k1',
      'if-match': '"1"',
      'if-none-match': '"2"',
    };
    const { authorization } = await bearer();
    await service.http.get(`/api/orders/${ORDER}`).set({
      ...passing,
      authorization,
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      'dapr-app-id': 'payments',
    });
    const { target, headers } = forwarded()[0]!;
    expect(target).toBe('orders');
    expect(headers).toMatchObject(passing);
    for (const name of ['authorization', 'cookie', 'x-forwarded-for'])
      expect(headers).not.toHaveProperty(name);
  });

  it('When it claims to be a caller, then the claim is not forwarded', async () => {
    const claim = { 'x-caller-id': 'boss', 'x-caller-role': 'admin' };
    await service.http.get(`/api/orders/${ORDER}`).set({ ...claim, ...(await bearer()) });
    await service.http.post('/api/users/login').set(claim).send({});
    expect(forwarded()[0]?.headers).toMatchObject({ 'x-caller-id': ADA, 'x-caller-role': 'customer' });
    expect(forwarded()[1]?.headers).not.toHaveProperty('x-caller-id');
    expect(forwarded()[1]?.headers).not.toHaveProperty('x-caller-role');
  });

  it('When it is forwarded, then with the network of its client, never with one that it names', async () => {
    await service.http.post('/api/users/login').set('x-client-network', '203.0.113.9').send({});
    expect(forwarded()[0]?.headers['x-client-network']).toMatch(/^(::ffff:)?127\.0\.0\.1$/);
  });

  it('When it has a request id, then the service, the response and the log have it', async () => {
    const response = await service.http.post('/api/users/login').set('x-request-id', 'req-1').send({});
    expect(response.headers['x-request-id']).toBe('req-1');
    expect(forwarded()[0]?.headers['x-request-id']).toBe('req-1');
    expect(service.logs.at(-1)).toMatchObject({ request_id: 'req-1', path: '/api/users/login', status: 200 });
  });

  it('When it has a trace, then a span of the gateway continues it', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const response = await service.http
      .post('/api/users/login')
      .set('traceparent', `00-${trace}-b7ad6b7169203331-01`)
      .send({});
    const [, traceId, spanId] = String(forwarded()[0]?.headers['traceparent']).split('-');
    expect(traceId).toBe(trace);
    expect(response.headers['traceresponse']).toBe(`00-${trace}-${spanId}-01`);
    expect(spanId).not.toBe('b7ad6b7169203331');
  });

  it('When it has no trace, then the gateway starts one, returns it and logs it', async () => {
    const response = await service.http.post('/api/users/login').send({});
    const [, traceId, spanId] = response.headers['traceresponse']!.split('-');
    expect(String(forwarded()[0]?.headers['traceparent'])).toContain(traceId);
    expect(service.logs.at(-1)).toMatchObject({ trace_id: traceId, span_id: spanId });
  });

  it.each([
    ['is larger than 100 KB', 'application/json', 'x'.repeat(102_401), 413, 'too-large'],
    ['is no JSON by its type', 'text/plain', 'hello', 415, 'unsupported-media-type'],
  ])(
    'When the body %s, then it is rejected and nothing is forwarded',
    async (_, type, body, status, slug) => {
      const response = await service.http.post('/api/users/login').set('content-type', type).send(body);
      expect([response.status, slugOf(response)]).toEqual([status, slug]);
      expect(service.sidecar.calls).toEqual([]);
    },
  );

  it('When the body is exactly 100 KB, then it is forwarded', async () => {
    const body = `["${'x'.repeat(102_396)}"]`;
    const response = await service.http.post('/api/users/login').type('json').send(body);
    expect([body.length, response.status]).toEqual([102_400, 200]);
  });

  it('When the target is an absolute URL, as for a proxy, then it is the same request', async () => {
    const target = 'http://elsewhere/api/orders?status=PAID';
    const { authorization } = await bearer();
    const answer = await sendRaw(`GET ${target} HTTP/1.1\r\nauthorization: ${authorization}`);
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    expect(answer.toLowerCase()).toMatch(/^ratelimit: "api"; r=\d+/m);
    expect(forwarded()[0]).toMatchObject({ target: 'history', path: '/api/orders?status=PAID' });
    expect(service.logs.at(-1)).toMatchObject({ path: '/api/orders' });
    const absolute = await sendRaw('GET http://elsewhere/nowhere HTTP/1.1');
    expect(JSON.parse(absolute.split('\r\n\r\n')[1]!)).toMatchObject({ status: 404, instance: '/nowhere' });
  });

  it('When the target has the maximum length, then it is forwarded; when it is longer, then 414', async () => {
    const path = '/api/orders?cursor=';
    const ofLength = async (length: number) => service.http.get(path.padEnd(length, 'x')).set(await bearer());
    expect((await ofLength(8_192)).status).toBe(200);
    expect(forwarded()[0]?.path).toHaveLength(8_192);
    const response = await ofLength(8_193);
    expect([response.status, slugOf(response)]).toEqual([414, 'uri-too-long']);
    expect(forwarded()).toHaveLength(1);
  });

  it('When target and headers have the maximum size, then sidecars accept them with the additions of the gateway', async () => {
    const { authorization } = await bearer();
    const remainingBytes = 15_900 - authorization.length;
    // `readBufferSize` in dapr.yaml limits the headers that sidecars read.
    const read = readTemplate().common.readBufferSize;
    expect(read).toBe('32Ki');
    const passing = `if-none-match: "${'x'.repeat(remainingBytes - 4_000)}"\r\naccept: ${'y'.repeat(3_500)}`;
    const answer = await sendRaw(
      `GET /api/orders/${ORDER} HTTP/1.1\r\nauthorization: ${authorization}\r\n${passing}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    const { headers, path } = forwarded()[0]!;
    const sent = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    const bytes = `GET ${path} HTTP/1.1\r\n${sent.join('')}\r\n`.length;
    // The sidecars add some 1.5 KB.
    expect(bytes).toBeLessThan(32 * 1024 - 4_096);
  });

  it('When headers are larger than that, then 431 and nothing is forwarded', async () => {
    const { authorization } = await bearer();
    const head = `GET /api/orders/${ORDER} HTTP/1.1\r\nauthorization: ${authorization}`;
    const answer = await sendRaw(`${head}\r\naccept: ${'y'.repeat(16_384)}`);
    expect(answer).toMatch(/^HTTP\/1.1 431/);
    expect(answer).toContain('urn:sidecart:problem:headers-too-large');
    expect(forwarded()).toEqual([]);
  });

  it('When the path cannot be decoded, then 400', async () => {
    expect((await service.http.get('/api/orders/%zz').set(await bearer())).status).toBe(400);
  });
});

const logIn = () => service.http.post('/api/users/login').send({});

describe('returning a response', () => {
  it('When a service responds, then status, body and known headers are returned, and others are not', async () => {
    const passing = {
      location: `/api/orders/${ORDER}`,
      'retry-after': '2',
      etag: '"1"',
      'cache-control': 'no-store',
      'idempotent-replayed': 'true',
      link: '</next>; rel="next"',
    };
    const inside = { server: 'daprd', 'set-cookie': 'a=b', 'x-powered-by': 'us' };
    service.sidecar.answer('users', () => ({
      status: 201,
      body: { a: 1 },
      headers: { ...passing, ...inside },
    }));
    const response = await logIn();
    expect([response.status, response.body]).toEqual([201, { a: 1 }]);
    const untransformed = { 'cache-control': 'no-store, no-transform' };
    expect(response.headers).toMatchObject({ ...passing, ...untransformed });
    for (const name of Object.keys(inside)) expect(response.headers).not.toHaveProperty(name);
  });

  it('When a service responds with a problem, then it is returned unchanged', async () => {
    const problem = { type: 'urn:sidecart:problem:price-differs', status: 409, detail: 'No.' };
    service.sidecar.answer('users', () => ({ status: 409, body: problem }));
    const response = await logIn();
    expect([response.status, response.body]).toEqual([409, problem]);
    expect(response.headers['content-type']).toContain('application/problem+json');
  });

  it('When a service responds with 204, then the gateway does, too, without a body', async () => {
    service.sidecar.answer('orders', () => ({ status: 204 }));
    const response = await service.http.get(`/api/orders/${ORDER}`).set(await bearer());
    expect([response.status, response.text]).toEqual([204, '']);
  });

  const read = async () => service.http.get(`/api/orders/${ORDER}`).set(await bearer());
  const buy = async (idempotencyKey?: string) =>
    service.http
      .post('/api/orders')
      .set(await bearer())
      .set(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey })
      .send({});

  const ship = async (headers: Record<string, string> = {}) =>
    service.http
      .put(`/api/orders/${ORDER}/status`)
      .set(await asAdmin())
      .set(headers)
      .send({ status: 'SHIPPED' });

  describe('when the service is unreachable', () => {
    beforeEach(async () => {
      service.sidecar.answer('orders', () => ({ status: 200, body: {} }));
      // The same sidecar carries the calls to `users`.
      await read();
    });

    /** The response of a sidecar that does not find the service. */
    function failOrders(times: number): void {
      let left = times;
      const nobody = { status: 500, headers: { 'content-type': 'application/json' }, body: {} };
      service.sidecar.answer('orders', () => (left-- > 0 ? nobody : { status: 200 }));
    }

    it.each([
      ['is only read', read],
      ['has an Idempotency-Key', () => buy('a-key')],
      ['is a PUT', () => ship()],
    ])('When it %s, then the gateway retries', async (_, send) => {
      failOrders(6);
      expect((await send()).status).toBe(200);
    });

    it('When the sidecar turns that into an empty 200, then the gateway retries', async () => {
      let asked = 0;
      service.sidecar.answer('orders', () => ({ status: 200, body: ++asked < 3 ? EMPTY_BODY : { asked } }));
      expect((await buy('a-key')).body).toEqual({ asked: 3 });
      asked = 0;
      expect((await buy()).status).toBe(503);
    });

    it('When the seventh attempt fails, then 503', async () => {
      failOrders(7);
      expect([(await buy('a-key')).status, (await buy('a-key')).status]).toEqual([503, 200]);
    });

    it.each([
      ['is a POST without a key', () => buy()],
      ['has a precondition', () => ship({ 'if-match': '"1"' })],
    ])('When the request %s, then the gateway does not retry', async (_, send) => {
      failOrders(1);
      expect([(await send()).status, (await send()).status]).toEqual([503, 200]);
    });
  });

  it.each([
    ['a service is unavailable', undefined],
    ['the sidecar rejects the call', 403],
    ['the sidecar cannot find the service', 404],
  ])('When %s, then 503 without internal details', async (_, status) => {
    if (status)
      service.sidecar.answer('users', () => ({
        status,
        headers: { 'content-type': 'application/json' },
        body: { errorCode: 'ERR_DIRECT_INVOKE', message: 'users-7f9 at 10.0.0.7' },
      }));
    else service.sidecar.fail('invoke');
    const response = await logIn();
    expect([response.status, slugOf(response), response.headers['retry-after']]).toEqual([
      503,
      'unavailable',
      '1',
    ]);
    expect(response.text).not.toMatch(/10\.0\.0\.7|ERR_|made to fail/);
    expect(response.body).toMatchObject({
      instance: '/api/users/login',
      request_id: response.headers['x-request-id'],
    });
  });
});

const down = (...names: string[]) => {
  for (const name of names) service.sidecar.answer(name, () => ({ status: 503 }));
};
const statuses = (response: { body: unknown }) =>
  Object.entries((response.body as { services: Record<string, { status: string }> }).services)
    .filter(([, { status }]) => status !== 'ok')
    .map(([name]) => name);

describe('GET /health', () => {
  it('When all services are ready, then ok, with the response time of each', async () => {
    const response = await service.http.get('/health');
    expect([response.status, response.body]).toEqual([
      200,
      {
        status: 'ok',
        services: Object.fromEntries(
          BACK_ENDS.map((name) => [name, { status: 'ok', latency_ms: expect.any(Number) as number }]),
        ),
      },
    ]);
    expect(new Set(service.sidecar.calls.map(({ path }) => path))).toEqual(new Set(['/readyz']));
  });

  it.each(['payments', 'fulfilment', 'notifications', 'history'])(
    'When %s is down, then orders are still accepted: degraded',
    async (name) => {
      down(name);
      const response = await service.http.get('/health');
      expect([response.status, response.body]).toMatchObject([200, { status: 'degraded' }]);
      expect(statuses(response)).toEqual([name]);
    },
  );

  it.each(['users', 'inventory', 'orders'])('When %s is down, then 503', async (name) => {
    down(name, 'history');
    const response = await service.http.get('/health');
    expect([response.status, response.body]).toMatchObject([503, { status: 'unavailable' }]);
    expect(statuses(response).toSorted()).toEqual([name, 'history'].toSorted());
  });

  it('When the sidecar is unavailable, then 503 names all services', async () => {
    await service.sidecar.close();
    const response = await service.http.get('/health');
    expect(response.status).toBe(503);
    expect(statuses(response)).toEqual([...BACK_ENDS]);
  });

  it('When many requests come at once, then each service is called once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => service.http.get('/health')));
    await service.http.get('/health');
    expect(service.sidecar.calls).toHaveLength(BACK_ENDS.length);
  });
});

describe('the operator port', () => {
  const operators = () => request(createOperatorApp(deps));

  it.each(['/healthz', '/readyz', '/metrics'])(
    'When %s is requested there, then the gateway handles it itself',
    async (path) => {
      expect((await operators().get(path)).status).toBe(200);
      expect(service.sidecar.calls).toEqual([]);
    },
  );

  it('When the sidecar is unavailable, then /readyz reports it', async () => {
    await service.sidecar.close();
    const { status, headers } = await operators().get('/readyz');
    expect([status, headers['content-type']]).toEqual([503, 'application/problem+json; charset=utf-8']);
  });

  it('When requests have come, then the metric has the route, not the path', async () => {
    await service.http.get(`/api/orders/${ORDER}`).set(await bearer());
    const { text: metrics } = await operators().get('/metrics');
    expect(metrics).toContain('route="/api/orders/:id",status="200"');
    expect(metrics).not.toContain(ORDER);
  });

  it.each(['/api/orders', '/docs', '/'])(
    'When %s is requested there, then 404 as a problem document',
    async (path) => {
      const response = await operators().get(path);
      expect([response.status, slugOf(response)]).toEqual([404, 'not-found']);
    },
  );
});

describe('the public port', () => {
  it('When no host is configured, then both ports listen on the loopback only', () => {
    const needed = { APP_PORT: '8080', DAPR_API_TOKEN: 'one', APP_API_TOKEN: 'another' };
    expect(loadConfig(config, needed)).toMatchObject({
      APP_HOST: '127.0.0.1',
      OPERATOR_HOST: '127.0.0.1',
      OPERATOR_PORT: 8_079,
      keepAliveTimeoutMs: 75_000,
    });
  });

  it.each([
    ['/healthz', 200],
    ['/readyz', 404],
    ['/metrics', 404],
  ])('When %s is requested there, then %i', async (path, status) => {
    expect((await service.http.get(path)).status).toBe(status);
    expect(service.sidecar.calls).toEqual([]);
  });
});
