import * as argon2 from '@node-rs/argon2';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/users/app.ts';
import { createPasswords, type Passwords } from '../../services/users/passwords.ts';
import { TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../services/users/contract.ts';
import { slugOf, asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { createFastPasswords } from '../support/fast-passwords.ts';

vi.mock('@node-rs/argon2', { spy: true });

const ADA = { email: 'ada@example.com', password: 'correct horse', name: 'Ada' };

let service: ServiceUnderTest;

const ready = () =>
  vi.waitFor(async () => expect((await service.http.get('/readyz')).status).toBe(200), 5_000);

const start = (passwords: Passwords) =>
  startService((deps) =>
    createApp({
      ...deps,
      tokenTtlSeconds: 3600,
      refreshTtlSeconds: 86_400,
      keyRotationSeconds: 86_400,
      passwords,
      now: () => new Date(),
      clock: () => performance.now(),
    }),
  );

beforeEach(async () => {
  service = await start(createFastPasswords());
  await ready();
});
afterEach(() => service.stop());

const post = (path: string, body: object) => service.http.post(`/api/users/${path}`).send(body);
const logIn = (email: string, password: string) => post('login', { email, password });
const get = (id: string, caller = asCaller(id)) => service.http.get(`/api/users/${id}`).set(caller);
const put = (id: string, body: object, caller = asCaller(id)) =>
  service.http.put(`/api/users/${id}`).set(caller).send(body);
const erase = (id: string, caller = asCaller(id)) => service.http.delete(`/api/users/${id}`).set(caller);
const fieldsOf = (response: { body: unknown }) =>
  (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);

const list = (query = '', caller = asCaller(randomUUID(), 'admin')) =>
  service.http.get(`/api/users${query}`).set(caller);

async function registered(more: Partial<typeof ADA> = {}): Promise<string> {
  const response = await post('register', { ...ADA, ...more });
  expect(response.status).toBe(201);
  return (response.body as { user_id: string }).user_id;
}

/** What decides how long the verification of a hash takes: algorithm, parameters, and the lengths of salt and hash. */
function strengthOf(phc: string): string {
  const [, algorithm, version, parameters, salt = '', hash = ''] = phc.split('$');
  return `${algorithm} ${version} ${parameters} ${salt.length}+${hash.length}`;
}

describe('POST /api/users/login', () => {
  it('When the credentials are right, then the response has a verifiable token', async () => {
    const id = await registered();
    const response = await logIn(' ADA@example.com', ADA.password);
    expect(response.status).toBe(200);
    const { access_token, ...rest } = response.body as { access_token: string };
    expect(rest).toEqual({
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: expect.any(String),
      refresh_expires_in: 86_400,
    });
    const jwks = (await service.http.get('/.well-known/jwks.json')).body as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(access_token, createLocalJWKSet(jwks), {
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
    });
    expect(payload).toMatchObject({ sub: id, role: 'customer', jti: expect.any(String), ver: 0 });
    expect(payload['sid']).toMatch(/^[0-9a-f-]{14}7/);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: jwks.keys[0]?.kid, typ: 'JWT' });
  });

  it('When a response has a token, then it is not cacheable', async () => {
    await registered();
    const response = await logIn(ADA.email, ADA.password);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('When the address is unknown or the password wrong, then the responses are indistinguishable', async () => {
    await registered();
    const unknown = await logIn('eve@example.com', ADA.password);
    const wrong = await logIn(ADA.email, 'wrong horse');
    expect([unknown.status, slugOf(unknown)]).toEqual([401, 'wrong-credentials']);
    expect({ ...(unknown.body as object), request_id: '' }).toEqual({
      ...(wrong.body as object),
      request_id: '',
    });
  });

  it('When the address is unknown, then a login costs the same calls and the same hash as a wrong password', async () => {
    await service.stop();
    service = await start(createPasswords());
    await ready();
    await registered();
    const stateCalls: string[] = [];
    service.sidecar.onStateCall(({ op, keys }) => void stateCalls.push(`${op} ${keys.length}`));
    const verify = vi.mocked(argon2.verify);
    async function costOf(email: string) {
      stateCalls.length = 0;
      verify.mockClear();
      expect((await logIn(email, 'wrong horse')).status).toBe(401);
      const hashes = verify.mock.calls.map(([hash]) => strengthOf(String(hash)));
      return { stateCalls: stateCalls.toSorted(), hashes };
    }
    const known = await costOf(ADA.email);
    expect(known.hashes).toEqual(['argon2id v=19 m=19456,t=2,p=1 22+43']);
    expect(await costOf('eve@example.com')).toEqual(known);
  });

  it.each([
    ['no password', { email: ADA.email }, ['password']],
    ['no e-mail', { password: 'x' }, ['email']],
    ['an e-mail that is an object', { email: {}, password: 'x' }, ['email']],
    ['a field too many', { email: ADA.email, password: 'x', otp: 1 }, ['otp']],
  ])('When the body has %s, then the 422 names it', async (_case, body, fields) => {
    const response = await post('login', body);
    expect(response.status).toBe(422);
    expect(fieldsOf(response)).toEqual(fields);
  });
});

describe('GET /api/users/:id', () => {
  it('When the caller reads their own account, in capitals too, then the response has no secrets', async () => {
    const id = await registered();
    const response = await get(id.toUpperCase(), asCaller(id));
    expect(response.body).toEqual({ user_id: id, email: ADA.email, name: 'Ada', role: 'customer' });
  });

  it.each([
    ['another customer calls', 404, () => asCaller(randomUUID())],
    ['an administrator calls', 200, () => asCaller(randomUUID(), 'admin')],
    ['there is no caller', 401, () => ({})],
  ])('When %s, then %i', async (_case, status, caller: () => Record<string, string>) => {
    expect((await get(await registered(), caller())).status).toBe(status);
  });

  it.each(['1', 'register', '%00', '%F0%9F%90%88', 'a'.repeat(300), randomUUID()])(
    'When an administrator reads %s, then 404',
    async (id) => {
      expect((await get(id, asCaller(randomUUID(), 'admin'))).status).toBe(404);
    },
  );
});

describe('versions of a user', () => {
  const tagged = (id: string, tag: string, body: object) => put(id, body).set('if-match', tag);

  it('When a user is read, then the tag is the version, and an unchanged user is not sent again', async () => {
    const id = await registered();
    expect((await get(id)).headers['etag']).toBe('"1"');
    expect((await get(id).set('if-none-match', '"1"')).status).toBe(304);
    await put(id, { name: 'Ada L.' });
    expect((await get(id).set('if-none-match', '"1"')).status).toBe(200);
  });

  it('When a change has the current version, then the response has the next tag', async () => {
    const id = await registered();
    const { status, headers } = await tagged(id, '"1"', { name: 'Ada L.' });
    expect([status, headers['etag'], headers['cache-control']]).toEqual([200, '"2"', 'no-store']);
  });

  it('When a change has an older version, then 412 and nothing changes', async () => {
    const id = await registered();
    await put(id, { name: 'Ada L.' });
    const response = await tagged(id, '"1"', { name: 'Eve' });
    expect([response.status, slugOf(response)]).toEqual([412, 'precondition-failed']);
    expect((await get(id)).body).toMatchObject({ name: 'Ada L.' });
  });

  it('When many changes have the same version, then one of them succeeds', async () => {
    const id = await registered();
    const responses = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => tagged(id, '"1"', { name }).then(({ status }) => status)),
    );
    expect(responses.filter((status) => status === 200)).toHaveLength(1);
    expect(responses.filter((status) => status === 412)).toHaveLength(3);
    expect((await get(id)).headers['etag']).toBe('"2"');
  });
});

describe('PUT /api/users/:id', () => {
  it('When the name changes, then the response has it and the event is published', async () => {
    const id = await registered();
    const user = { user_id: id, email: ADA.email, name: 'Ada L.', role: 'customer' };
    const response = await put(id, { name: 'Ada L.' });
    expect([response.status, response.body]).toEqual([200, user]);
    expect(service.publishedEvents('user.updated')).toEqual([{ id: `${id}:2`, data: { user, version: 2 } }]);
  });

  it('When the password changes, then only the new one is valid', async () => {
    const id = await registered();
    await put(id, { password: 'new password', current_password: ADA.password });
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect((await logIn(ADA.email, 'new password')).status).toBe(200);
  });

  it('When the e-mail changes, then the old one is free and no longer valid for a login', async () => {
    const id = await registered();
    expect(
      (await put(id, { email: 'Lovelace@example.com', current_password: ADA.password })).body,
    ).toMatchObject({
      email: 'lovelace@example.com',
    });
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect((await logIn('lovelace@example.com', ADA.password)).status).toBe(200);
    await registered();
  });

  it("When the e-mail is another's, then 409 and nothing changes", async () => {
    await registered({ email: 'eve@example.com' });
    const id = await registered();
    const response = await put(id, { email: 'EVE@example.com', name: 'Eve', current_password: ADA.password });
    expect([response.status, slugOf(response)]).toEqual([409, 'email-taken']);
    expect((await get(id)).body).toMatchObject({ email: ADA.email, name: 'Ada' });
  });

  it('When two users take the same e-mail at once, then one gets it', async () => {
    const ids = [await registered(), await registered({ email: 'eve@example.com' })];
    const responses = await Promise.all(
      ids.map((id) => put(id, { email: 'new@example.com', current_password: ADA.password })),
    );
    expect(responses.map(({ status }) => status)).toEqual(expect.arrayContaining([200, 409]));
  });

  it('When two changes come at once, then none is lost', async () => {
    const id = await registered();
    await Promise.all([
      put(id, { name: 'Ada L.' }),
      put(id, { email: 'new@example.com', current_password: ADA.password }),
    ]);
    expect((await get(id)).body).toMatchObject({ name: 'Ada L.', email: 'new@example.com' });
  });

  it.each([{}, { name: 'Ada' }, { email: 'ADA@example.com' }])(
    'When %j changes nothing, then nothing is published',
    async (body) => {
      const id = await registered();
      expect((await put(id, body)).status).toBe(200);
      expect(service.publishedEvents('user.updated')).toEqual([]);
    },
  );

  it('When a field is wrong, then the 422 names it', async () => {
    const response = await put(await registered(), { email: 'x', password: '1', role: 'admin' });
    expect(response.status).toBe(422);
    expect(fieldsOf(response)).toEqual(['email', 'password', 'role']);
  });

  it("When the account is another user's, then 404 and nothing changes", async () => {
    const id = await registered();
    expect((await put(id, { name: 'Eve' }, asCaller(randomUUID()))).status).toBe(404);
    expect((await get(id)).body).toMatchObject({ name: 'Ada' });
  });

  it('When the registration cannot be published, then 503 and nothing changes', async () => {
    const id = await registered();
    service.sidecar.fail('publish');
    expect((await put(id, { name: 'Ada L.' })).status).toBe(503);
    expect((await get(id)).body).toMatchObject({ name: 'Ada' });
  });
});

describe('the current password', () => {
  const CHANGES = [{ password: 'new password' }, { email: 'new@example.com' }];

  it.each(CHANGES)(
    'When the owner changes %j without it, then the 422 names it and nothing changes',
    async (change) => {
      const id = await registered();
      const response = await put(id, change);
      expect([response.status, fieldsOf(response)]).toEqual([422, ['current_password']]);
      expect((await logIn(ADA.email, ADA.password)).status).toBe(200);
    },
  );

  it.each(CHANGES)(
    'When the owner changes %j with a wrong one, then 403 and nothing changes',
    async (change) => {
      const id = await registered();
      const response = await put(id, { ...change, current_password: 'wrong horse' });
      expect([response.status, slugOf(response), fieldsOf(response)]).toEqual([
        403,
        'wrong-password',
        ['current_password'],
      ]);
      expect((await logIn(ADA.email, ADA.password)).status).toBe(200);
      expect(service.publishedEvents('user.updated')).toEqual([]);
    },
  );

  it('When the address is the same or only the name changes, then it is not needed', async () => {
    const id = await registered();
    expect((await put(id, { email: 'ADA@example.com', name: 'Ada L.' })).status).toBe(200);
  });

  it('When a wrong one is given too often, then the owner has to wait, also at the login', async () => {
    const id = await registered();
    for (let nr = 0; nr < 5; nr++)
      expect((await put(id, { ...CHANGES[0], current_password: 'wrong horse' })).status).toBe(403);
    const response = await put(id, { ...CHANGES[0], current_password: ADA.password });
    expect([response.status, slugOf(response), response.headers['retry-after']]).toEqual([
      429,
      'too-many-attempts',
      '1',
    ]);
    expect((await logIn(ADA.email, ADA.password)).status).toBe(429);
  });

  it('When it is wrong and the address has another account, then the response does not reveal that', async () => {
    await registered({ email: 'eve@example.com' });
    const response = await put(await registered(), {
      email: 'eve@example.com',
      current_password: 'wrong horse',
    });
    expect(slugOf(response)).toBe('wrong-password');
  });

  it('When an administrator changes another account, then it is not needed, except for their own', async () => {
    const id = await registered();
    expect((await put(id, CHANGES[0]!, asCaller(randomUUID(), 'admin'))).status).toBe(200);
    expect((await put(id, CHANGES[1]!, asCaller(id, 'admin'))).status).toBe(422);
  });

  it('When the change has an old version, then 412, and the password is not checked', async () => {
    const id = await registered();
    await put(id, { name: 'Ada L.' });
    for (let nr = 0; nr < 6; nr++) {
      const body = { ...CHANGES[0], current_password: 'wrong horse' };
      expect((await put(id, body).set('if-match', '"1"')).status).toBe(412);
    }
    expect((await logIn(ADA.email, ADA.password)).status).toBe(200);
  });
});

describe('events about a new address or password', () => {
  const dataOf = (version: number) =>
    service.publishedEvents('user.updated').find(({ data }) => data['version'] === version)?.data;

  it('When the address changes, then the event has the previous one', async () => {
    const id = await registered();
    await put(id, { email: 'new@example.com', current_password: ADA.password });
    const user = { user_id: id, email: 'new@example.com', name: 'Ada', role: 'customer' };
    expect(dataOf(2)).toEqual({ user, version: 2, previous_email: ADA.email });
  });

  it('When the password changes, then that event says so, and later ones do not', async () => {
    const id = await registered();
    await put(id, { password: 'new password', current_password: ADA.password });
    await put(id, { name: 'Ada L.' });
    expect(dataOf(2)).toMatchObject({ password_changed: true });
    expect(dataOf(3)).not.toHaveProperty('password_changed');
  });

  it.each([
    ['another change', (id: string) => put(id, { name: 'Ada L.' })],
    ['a deletion', (id: string) => erase(id)],
  ])('When publishing failed, then %s publishes first, or is rejected', async (_case, then) => {
    const id = await registered();
    service.sidecar.fail('publish', 1);
    await put(id, { name: 'Ada L.' });
    await put(id, { email: 'new@example.com', current_password: ADA.password });
    service.sidecar.published.length = 0;
    service.sidecar.fail('publish', 1);
    expect((await then(id)).status).toBe(503);
    expect((await then(id)).status).toBeLessThan(300);
    expect(service.sidecar.published[0]).toMatchObject({ data: { previous_email: ADA.email } });
  });
});

describe('DELETE /api/users/:id', () => {
  it('When an account is deleted, then it is gone, the event is published, and the e-mail is free', async () => {
    const id = await registered();
    expect((await erase(id)).status).toBe(204);
    expect((await get(id)).status).toBe(404);
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect(service.publishedEvents('user.deleted')).toEqual([
      { id: `${id}:2`, data: { user_id: id, version: 2 } },
    ]);
    await registered();
  });

  it('When an account is deleted, then no personal data remains in the store', async () => {
    const id = await registered();
    await erase(id);
    const stored = JSON.stringify([...service.sidecar.documents]);
    for (const trace of ['ada@', 'Ada', 'argon2']) expect(stored).not.toContain(trace);
  });

  it('When it is deleted or changed again, then 404', async () => {
    const id = await registered();
    await erase(id);
    expect((await erase(id)).status).toBe(404);
    expect((await put(id, { name: 'Eve' })).status).toBe(404);
  });

  it("When it is another user's, then 404 and it is unchanged", async () => {
    const id = await registered();
    expect((await erase(id, asCaller(randomUUID()))).status).toBe(404);
    expect((await get(id)).status).toBe(200);
  });
});

describe('GET /api/users', () => {
  it('When there are more users than the limit, then the cursor leads through all, newest first', async () => {
    const names = ['a', 'b', 'c'];
    for (const name of names) await registered({ name, email: `${name}@example.com` });
    const first = (await list('?limit=2')).body as { items: { name: string }[]; next_cursor: string };
    const second = (await list(`?limit=2&cursor=${first.next_cursor}`)).body as typeof first;
    expect((await list('?limit=2')).headers['link']).toContain(`cursor=${first.next_cursor}`);
    expect([...first.items, ...second.items].map(({ name }) => name)).toEqual(['c', 'b', 'a']);
    expect(second.next_cursor).toBeNull();
  });

  it('When an account was deleted, then it is not listed', async () => {
    const remaining = await registered({ email: 'kept@example.com' });
    await erase(await registered());
    const { items } = (await list()).body as { items: { user_id: string }[] };
    expect(items.map(({ user_id }) => user_id)).toEqual([remaining]);
  });

  it('When users are listed, then the list has no secrets', async () => {
    await registered();
    expect(Object.keys((await list()).body.items[0])).toEqual(['user_id', 'email', 'name', 'role']);
  });

  it('When a customer asks, then 403', async () => {
    expect((await list('', asCaller(randomUUID()))).status).toBe(403);
  });

  it.each(['?limit=0', '?limit=101', '?limit=x', '?cursor=x'])(
    'When the query is %s, then 400',
    async (query) => {
      expect((await list(query)).status).toBe(400);
    },
  );
});

describe('secrets', () => {
  it('When users come and go, then logs and events have no passwords, hashes, tokens or addresses', async () => {
    const id = await registered();
    const { access_token: token, refresh_token: used } = (await logIn(ADA.email, ADA.password))
      .body as Record<string, string>;
    for (let time = 0; time < 3; time++) await post('token', { refresh_token: used });
    await post('token', { refresh_token: 'not a token' });
    for (let time = 0; time < 7; time++) await logIn(ADA.email, 'wrong horse');
    await post('register', { ...ADA, email: 'not an address' });
    service.sidecar.fail('state');
    await put(id, { password: 'new password', email: 'new@example.com', current_password: 'wrong horse' });
    service.sidecar.fail('publish');
    await erase(id);
    const logs = JSON.stringify(service.logs);
    const messages = JSON.stringify(service.sidecar.published);
    expect(service.logs.length).toBeGreaterThan(5);
    expect(service.logs.filter((line) => line['audit'])).toHaveLength(2);
    for (const secret of ['horse', 'new password', 'argon2', token, used?.split('.').at(-1), 'not a token'])
      expect(logs + messages).not.toContain(secret);
    expect(logs).not.toContain('example.com');
  });
});
