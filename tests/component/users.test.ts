import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/users/app.ts';
import { TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../services/users/contract.ts';
import { as, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ADA = { email: 'ada@example.com', password: 'correct horse', name: 'Ada' };
const LONG_AGO = '2026-01-01T00:00:00.000Z';

let service: ServiceUnderTest;

const ready = () =>
  vi.waitFor(async () => expect((await service.door.get('/readyz')).status).toBe(200), 5_000);

beforeEach(async () => {
  service = await startService((deps) => createApp({ ...deps, tokenTtlSeconds: 86_400 }));
  await ready();
});
afterEach(() => service.stop());

const post = (path: string, body: object) => service.door.post(`/api/users/${path}`).send(body);
const logIn = (email: string, password: string) => post('login', { email, password });
const get = (id: string, caller = as(id)) => service.door.get(`/api/users/${id}`).set(caller);
const put = (id: string, body: object, caller = as(id)) =>
  service.door.put(`/api/users/${id}`).set(caller).send(body);
const erase = (id: string, caller = as(id)) => service.door.delete(`/api/users/${id}`).set(caller);
const fireJob = (name: string, since = LONG_AGO) => service.door.post(`/job/${name}`).send({ since });
const slugOf = (response: { body: unknown }) => (response.body as { type: string }).type.split(':').at(-1);
const fieldsOf = (response: { body: unknown }) =>
  (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);
const loggedAt = (level: string) => service.logs.filter((line) => line['level'] === level);

const list = (query = '', caller = as(randomUUID(), 'admin')) =>
  service.door.get(`/api/users${query}`).set(caller);

async function registered(more: Partial<typeof ADA> = {}): Promise<string> {
  const response = await post('register', { ...ADA, ...more });
  expect(response.status).toBe(201);
  return (response.body as { user_id: string }).user_id;
}

/** Milliseconds; the fastest of some, which noise touches least. */
async function fastest(email: string): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    const started = performance.now();
    await logIn(email, 'wrong horse');
    times.push(performance.now() - started);
  }
  return Math.min(...times);
}

describe('POST /api/users/register', () => {
  it('When somebody registers, then the answer is the new customer and where to find it', async () => {
    const response = await post('register', ADA);
    expect(response.status).toBe(201);
    const { user_id } = response.body as { user_id: string };
    expect(response.body).toEqual({ user_id, email: ADA.email, name: 'Ada', role: 'customer' });
    expect(response.headers['location']).toBe(`/api/users/${user_id}`);
  });

  it('When somebody registers, then it is said once, and no job is left', async () => {
    const id = await registered();
    expect(service.said('user.registered')).toEqual([
      {
        id: `${id}:1`,
        data: { user: { user_id: id, email: ADA.email, name: 'Ada', role: 'customer' }, version: 1 },
      },
    ]);
    expect([...service.sidecar.jobs.keys()]).toEqual([]);
  });

  it('When the address has capitals and blanks, then it is kept without', async () => {
    const id = await registered({ email: '  Ada@Example.COM ' });
    expect((await get(id)).body).toMatchObject({ email: 'ada@example.com' });
  });

  it('When the address has an account, in other capitals, then 409 and the account is as it was', async () => {
    await registered();
    const response = await post('register', { ...ADA, email: 'ADA@example.com', password: 'another one' });
    expect([response.status, slugOf(response)]).toEqual([409, 'email-taken']);
    expect((await logIn(ADA.email, ADA.password)).status).toBe(200);
  });

  it('When two register the same address at once, then one gets it', async () => {
    const responses = await Promise.all([post('register', ADA), post('register', ADA)]);
    expect(responses.map(({ status }) => status)).toEqual(expect.arrayContaining([201, 409]));
    expect(service.said('user.registered')).toHaveLength(1);
  });

  it('When many register at once, then all are listed', async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, nr) => registered({ email: `user${nr}@example.com` })),
    );
    const response = await service.door.get('/api/users').set(as(randomUUID(), 'admin'));
    const items = (response.body as { items: { user_id: string }[] }).items;
    expect(items.map(({ user_id }) => user_id).toSorted()).toEqual(ids.toSorted());
  });

  it('When the password is stored, then only as an argon2id hash of the strength that OWASP asks for', async () => {
    await registered();
    const stored = JSON.stringify([...service.sidecar.documents]);
    expect(stored).not.toContain(ADA.password);
    expect(stored).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
  });

  it.each([
    ['no e-mail', { email: undefined }, ['email']],
    ['an e-mail that is none', { email: 'ada' }, ['email']],
    ['two addresses in one', { email: 'a@example.com;b@example.com' }, ['email']],
    ['a header in the e-mail', { email: 'ada@example.com\r\nBcc: eve@example.com' }, ['email']],
    ['an e-mail that is too long', { email: `${'a'.repeat(250)}@example.com` }, ['email']],
    ['a short password', { password: '12345' }, ['password']],
    ['a very long password', { password: 'x'.repeat(201) }, ['password']],
    ['a password that is a number', { password: 1234567 }, ['password']],
    ['an empty name', { name: '  ' }, ['name']],
    ['a name with a control character', { name: 'Ada\u0000' }, ['name']],
    ['a name with half a character', { name: 'Ada\ud800' }, ['name']],
    ['a role', { role: 'admin' }, ['role']],
    ['everything wrong', { email: '', password: '', name: '' }, ['email', 'password', 'name']],
  ])('When the body has %s, then 422 names it and nothing is written', async (_case, wrong, fields) => {
    const before = service.sidecar.documents.size;
    const response = await post('register', { ...ADA, ...wrong });
    expect(response.status).toBe(422);
    expect([...new Set(fieldsOf(response))]).toEqual(fields);
    expect(service.sidecar.documents.size).toBe(before);
  });

  it('When the body is a list, then 422', async () => {
    expect((await post('register', [ADA])).status).toBe(422);
  });

  it('When the job cannot be set, then 503 and nothing is written', async () => {
    service.sidecar.fail('schedule');
    const before = service.sidecar.documents.size;
    expect((await post('register', ADA)).status).toBe(503);
    expect(service.sidecar.documents.size).toBe(before);
  });
});

describe('What is not said at once', () => {
  it('When the broker is down, then registering works and the job is there to say it', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    expect(service.said('user.registered')).toEqual([]);
    expect(service.sidecar.jobs.get(`user-${id}-1`)).toMatchObject({
      dueTime: '10s',
      schedule: '@every 30s',
    });
    expect(loggedAt('error')).toHaveLength(1);
  });

  it('When the job fires, then it says the same message and ends', async () => {
    const id = await registered();
    const [first] = service.sidecar.published;
    expect((await fireJob(`user-${id}-1`)).status).toBe(200);
    expect(service.sidecar.published).toEqual([first, first]);
    expect([...service.sidecar.jobs.keys()]).toEqual([]);
  });

  it('When the broker is still down, then the job fails and stays', async () => {
    service.sidecar.fail('publish', 2);
    const id = await registered();
    expect((await fireJob(`user-${id}-1`)).status).toBe(503);
    expect([...service.sidecar.jobs.keys()]).toEqual([`user-${id}-1`]);
  });

  it('When the write may still be under way, then the job waits', async () => {
    const name = `user-${randomUUID()}-1`;
    service.sidecar.jobs.set(name, { dueTime: '10s' });
    expect((await fireJob(name, new Date().toISOString())).status).toBe(200);
    expect(service.sidecar.jobs.has(name)).toBe(true);
  });

  it('When the write never happened, then the job ends and says nothing', async () => {
    const name = `user-${randomUUID()}-1`;
    service.sidecar.jobs.set(name, { dueTime: '10s' });
    expect((await fireJob(name)).status).toBe(200);
    expect(service.sidecar.jobs.has(name)).toBe(false);
    expect(service.sidecar.published).toEqual([]);
  });

  it('When an unsaid registration is followed by a change, then both are said', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    await put(id, { name: 'Ada L.' });
    expect(service.sidecar.published.map((event) => event.id)).toEqual([`${id}:1`, `${id}:2`]);
    expect(service.said('user.registered')[0]?.data).toMatchObject({ user: { name: 'Ada' } });
  });

  it('When an unsaid deletion is left to its job, then the job says it', async () => {
    const id = await registered();
    service.sidecar.fail('publish');
    expect((await erase(id)).status).toBe(204);
    await fireJob(`user-${id}-2`);
    expect(service.said('user.deleted')).toEqual([{ id: `${id}:2`, data: { user_id: id, version: 2 } }]);
  });
});

describe('POST /api/users/login', () => {
  it('When the credentials are right, then a token comes that others can verify', async () => {
    const id = await registered();
    const response = await logIn(' ADA@example.com', ADA.password);
    expect(response.status).toBe(200);
    const { access_token, ...rest } = response.body as { access_token: string };
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 86_400 });
    const jwks = (await service.door.get('/.well-known/jwks.json')).body as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(access_token, createLocalJWKSet(jwks), {
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
    });
    expect(payload).toMatchObject({ sub: id, role: 'customer', jti: expect.any(String) });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(86_400);
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: jwks.keys[0]?.kid, typ: 'JWT' });
  });

  it('When a token is given out, then no cache keeps it', async () => {
    await registered();
    const response = await logIn(ADA.email, ADA.password);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('When the address is unknown or the password wrong, then the answers cannot be told apart', async () => {
    await registered();
    const unknown = await logIn('eve@example.com', ADA.password);
    const wrong = await logIn(ADA.email, 'wrong horse');
    expect([unknown.status, slugOf(unknown)]).toEqual([401, 'wrong-credentials']);
    expect({ ...(unknown.body as object), request_id: '' }).toEqual({
      ...(wrong.body as object),
      request_id: '',
    });
  });

  it('When the address is unknown, then it takes as long as a wrong password', async () => {
    await registered();
    const [unknown, wrong] = [await fastest('eve@example.com'), await fastest(ADA.email)];
    expect(unknown / wrong).toBeGreaterThan(0.5);
    expect(unknown / wrong).toBeLessThan(2);
  });

  it.each([
    ['no password', { email: ADA.email }, ['password']],
    ['no e-mail', { password: 'x' }, ['email']],
    ['an e-mail that is an object', { email: {}, password: 'x' }, ['email']],
    ['a field too many', { email: ADA.email, password: 'x', otp: 1 }, ['otp']],
  ])('When the body has %s, then 422 names it', async (_case, body, fields) => {
    const response = await post('login', body);
    expect(response.status).toBe(422);
    expect(fieldsOf(response)).toEqual(fields);
  });
});

describe('GET /api/users/:id', () => {
  it('When it is oneself, in capitals too, then the user comes without anything secret', async () => {
    const id = await registered();
    const response = await get(id.toUpperCase(), as(id));
    expect(response.body).toEqual({ user_id: id, email: ADA.email, name: 'Ada', role: 'customer' });
  });

  it.each([
    ['another customer asks', 404, () => as(randomUUID())],
    ['an administrator asks', 200, () => as(randomUUID(), 'admin')],
    ['nobody asks', 401, () => ({})],
  ])('When %s, then %i', async (_case, status, caller: () => Record<string, string>) => {
    expect((await get(await registered(), caller())).status).toBe(status);
  });

  it.each(['1', 'register', '%00', '%F0%9F%90%88', 'a'.repeat(300), randomUUID()])(
    'When an administrator asks for %s, then 404',
    async (id) => {
      expect((await get(id, as(randomUUID(), 'admin'))).status).toBe(404);
    },
  );
});

describe('PUT /api/users/:id', () => {
  it('When the name changes, then the answer has it and it is said', async () => {
    const id = await registered();
    const user = { user_id: id, email: ADA.email, name: 'Ada L.', role: 'customer' };
    const response = await put(id, { name: 'Ada L.' });
    expect([response.status, response.body]).toEqual([200, user]);
    expect(service.said('user.updated')).toEqual([{ id: `${id}:2`, data: { user, version: 2 } }]);
  });

  it('When the password changes, then only the new one opens', async () => {
    const id = await registered();
    await put(id, { password: 'new password' });
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect((await logIn(ADA.email, 'new password')).status).toBe(200);
  });

  it('When the e-mail changes, then the old one is free again and no longer opens', async () => {
    const id = await registered();
    expect((await put(id, { email: 'Lovelace@example.com' })).body).toMatchObject({
      email: 'lovelace@example.com',
    });
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect((await logIn('lovelace@example.com', ADA.password)).status).toBe(200);
    await registered();
  });

  it("When the e-mail is another's, then 409 and nothing changes", async () => {
    await registered({ email: 'eve@example.com' });
    const id = await registered();
    const response = await put(id, { email: 'EVE@example.com', name: 'Eve' });
    expect([response.status, slugOf(response)]).toEqual([409, 'email-taken']);
    expect((await get(id)).body).toMatchObject({ email: ADA.email, name: 'Ada' });
  });

  it('When two take the same e-mail at once, then one gets it', async () => {
    const ids = [await registered(), await registered({ email: 'eve@example.com' })];
    const responses = await Promise.all(ids.map((id) => put(id, { email: 'new@example.com' })));
    expect(responses.map(({ status }) => status)).toEqual(expect.arrayContaining([200, 409]));
  });

  it('When two changes come at once, then none is lost', async () => {
    const id = await registered();
    await Promise.all([put(id, { name: 'Ada L.' }), put(id, { email: 'new@example.com' })]);
    expect((await get(id)).body).toMatchObject({ name: 'Ada L.', email: 'new@example.com' });
  });

  it.each([{}, { name: 'Ada' }, { email: 'ADA@example.com' }])(
    'When %j changes nothing, then nothing is said',
    async (body) => {
      const id = await registered();
      expect((await put(id, body)).status).toBe(200);
      expect(service.said('user.updated')).toEqual([]);
    },
  );

  it('When a field is wrong, then 422 names it', async () => {
    const response = await put(await registered(), { email: 'x', password: '1', role: 'admin' });
    expect(response.status).toBe(422);
    expect(fieldsOf(response)).toEqual(['email', 'password', 'role']);
  });

  it("When it is another's, then 404 and nothing changes", async () => {
    const id = await registered();
    expect((await put(id, { name: 'Eve' }, as(randomUUID()))).status).toBe(404);
    expect((await get(id)).body).toMatchObject({ name: 'Ada' });
  });

  it('When the registration cannot be said, then 503 and nothing changes', async () => {
    const id = await registered();
    service.sidecar.fail('publish');
    expect((await put(id, { name: 'Ada L.' })).status).toBe(503);
    expect((await get(id)).body).toMatchObject({ name: 'Ada' });
  });
});

describe('DELETE /api/users/:id', () => {
  it('When an account is deleted, then it is gone, said, and the e-mail is free', async () => {
    const id = await registered();
    expect((await erase(id)).status).toBe(204);
    expect((await get(id)).status).toBe(404);
    expect((await logIn(ADA.email, ADA.password)).status).toBe(401);
    expect(service.said('user.deleted')).toEqual([{ id: `${id}:2`, data: { user_id: id, version: 2 } }]);
    await registered();
  });

  it('When an account is deleted, then nothing of the person stays in the store', async () => {
    const id = await registered();
    await erase(id);
    const stored = JSON.stringify([...service.sidecar.documents]);
    for (const trace of ['ada', 'Ada', 'argon2']) expect(stored).not.toContain(trace);
  });

  it('When it is deleted or changed again, then 404', async () => {
    const id = await registered();
    await erase(id);
    expect((await erase(id)).status).toBe(404);
    expect((await put(id, { name: 'Eve' })).status).toBe(404);
  });

  it("When it is another's, then 404 and it stays", async () => {
    const id = await registered();
    expect((await erase(id, as(randomUUID()))).status).toBe(404);
    expect((await get(id)).status).toBe(200);
  });
});

describe('GET /api/users', () => {
  it('When there are more than the limit, then the cursor leads through all, newest first', async () => {
    const names = ['a', 'b', 'c'];
    for (const name of names) await registered({ name, email: `${name}@example.com` });
    const first = (await list('?limit=2')).body as { items: { name: string }[]; next_cursor: string };
    const second = (await list(`?limit=2&cursor=${first.next_cursor}`)).body as typeof first;
    expect([...first.items, ...second.items].map(({ name }) => name)).toEqual(['c', 'b', 'a']);
    expect(second.next_cursor).toBeNull();
  });

  it('When an account was deleted, then it is not listed', async () => {
    const kept = await registered({ email: 'kept@example.com' });
    await erase(await registered());
    const { items } = (await list()).body as { items: { user_id: string }[] };
    expect(items.map(({ user_id }) => user_id)).toEqual([kept]);
  });

  it('When users are listed, then nothing secret is', async () => {
    await registered();
    expect(Object.keys((await list()).body.items[0])).toEqual(['user_id', 'email', 'name', 'role']);
  });

  it('When a customer asks, then 403', async () => {
    expect((await list('', as(randomUUID()))).status).toBe(403);
  });

  it.each(['?limit=0', '?limit=101', '?limit=x', '?cursor=x'])(
    'When the query is %s, then 400',
    async (query) => {
      expect((await list(query)).status).toBe(400);
    },
  );
});

describe('What is secret', () => {
  it('When users come and go, then neither logs nor messages tell passwords, hashes, tokens or addresses', async () => {
    const id = await registered();
    const token = ((await logIn(ADA.email, ADA.password)).body as { access_token: string }).access_token;
    await logIn(ADA.email, 'wrong horse');
    await post('register', { ...ADA, email: 'not an address' });
    service.sidecar.fail('state');
    await put(id, { password: 'new password', email: 'new@example.com' });
    service.sidecar.fail('publish');
    await erase(id);
    const logs = JSON.stringify(service.logs);
    const messages = JSON.stringify(service.sidecar.published);
    expect(service.logs.length).toBeGreaterThan(5);
    for (const secret of ['horse', 'new password', 'argon2', token])
      expect(logs + messages).not.toContain(secret);
    expect(logs).not.toContain('example.com');
  });
});
