import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/users/app.ts';
import {
  slugOf,
  asCaller,
  fromNetwork,
  startService,
  type ServiceUnderTest,
} from '../support/service-under-test.ts';
import { createFastPasswords } from '../support/fast-passwords.ts';

const ADA = { email: 'ada@example.com', password: 'correct horse', name: 'Ada' };

let service: ServiceUnderTest;
let monotonicMs = 0;

/** Lets time pass, and the service complete the changes that are due. */
async function sweepLater(): Promise<void> {
  expect(await service.sweep()).toBe(200);
  monotonicMs += 10_000;
  expect(await service.sweep()).toBe(200);
}

const ready = () =>
  vi.waitFor(async () => expect((await service.http.get('/readyz')).status).toBe(200), 5_000);

beforeEach(async () => {
  service = await startService((deps) =>
    createApp({
      ...deps,
      tokenTtlSeconds: 3600,
      refreshTtlSeconds: 86_400,
      keyRotationSeconds: 86_400,
      passwords: createFastPasswords(),
      now: () => new Date(),
      clock: () => monotonicMs,
    }),
  );
  await ready();
});
afterEach(() => service.stop());

const post = (path: string, body: object) => service.http.post(`/api/users/${path}`).send(body);
const get = (id: string) => service.http.get(`/api/users/${id}`).set(asCaller(id));
const put = (id: string, body: object) => service.http.put(`/api/users/${id}`).set(asCaller(id)).send(body);
const erase = (id: string) => service.http.delete(`/api/users/${id}`).set(asCaller(id));
const fieldsOf = (response: { body: unknown }) =>
  (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);
const loggedAt = (level: string) => service.logs.filter((line) => line['level'] === level);

async function registered(more: Partial<typeof ADA> = {}): Promise<string> {
  const response = await post('register', { ...ADA, ...more });
  expect(response.status).toBe(201);
  return (response.body as { user_id: string }).user_id;
}

describe('POST /api/users/register', () => {
  it('When a user registers, then the response has the new customer and the location', async () => {
    const response = await post('register', ADA);
    expect(response.status).toBe(201);
    const { user_id } = response.body as { user_id: string };
    expect(response.body).toEqual({ user_id, email: ADA.email, name: 'Ada', role: 'customer' });
    expect(response.headers['location']).toBe(`/api/users/${user_id}`);
  });

  it('When a user registers, then one event is published', async () => {
    const id = await registered();
    expect(service.publishedEvents('user.registered')).toEqual([
      {
        id: `${id}:1`,
        data: { user: { user_id: id, email: ADA.email, name: 'Ada', role: 'customer' }, version: 1 },
      },
    ]);
  });

  it('When the address has capitals and blanks, then it is normalised', async () => {
    const id = await registered({ email: '  Ada@Example.COM ' });
    expect((await get(id)).body).toMatchObject({ email: 'ada@example.com' });
  });

  it('When the domain has letters beyond ASCII, then the address is saved in its ASCII form', async () => {
    const id = await registered({ email: 'ada@bücher.de' });
    expect((await get(id)).body).toMatchObject({ email: 'ada@xn--bcher-kva.de' });
    for (const email of ['ada@bücher.de', 'ada@BÜCHER.de', 'ada@xn--bcher-kva.de'])
      expect((await post('login', { email, password: ADA.password })).status).toBe(200);
  });

  it('When the address has an account, in other capitals, then 409 and that account is unchanged', async () => {
    await registered();
    const response = await post('register', { ...ADA, email: 'ADA@example.com', password: 'another one' });
    expect([response.status, slugOf(response)]).toEqual([409, 'email-taken']);
    expect((await post('login', { email: ADA.email, password: ADA.password })).status).toBe(200);
  });

  it('When two users register the same address at once, then one gets it', async () => {
    const responses = await Promise.all([post('register', ADA), post('register', ADA)]);
    expect(responses.map(({ status }) => status)).toEqual(expect.arrayContaining([201, 409]));
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it('When many users register at once, then all are listed', async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, nr) => registered({ email: `user${nr}@example.com` })),
    );
    const response = await service.http.get('/api/users').set(asCaller(randomUUID(), 'admin'));
    const items = (response.body as { items: { user_id: string }[] }).items;
    expect(items.map(({ user_id }) => user_id).toSorted()).toEqual(ids.toSorted());
  });

  it('When the password is saved, then only as an argon2id hash', async () => {
    await registered();
    const stored = JSON.stringify([...service.sidecar.documents]);
    expect(stored).not.toContain(ADA.password);
    expect(stored).toContain('$argon2id$v=19$');
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
    ['an invisible name', { name: '\u200b' }, ['name']],
    ['a role', { role: 'admin' }, ['role']],
    ['everything wrong', { email: '', password: '', name: '' }, ['email', 'password', 'name']],
  ])('When the body has %s, then the 422 names it and nothing is saved', async (_case, wrong, fields) => {
    const before = service.sidecar.documents.size;
    const response = await post('register', { ...ADA, ...wrong });
    expect(response.status).toBe(422);
    expect([...new Set(fieldsOf(response))]).toEqual(fields);
    expect(service.sidecar.documents.size).toBe(before);
  });

  it('When the body is a list, then 422', async () => {
    expect((await post('register', [ADA])).status).toBe(422);
  });

  it('When the scheduler is unavailable, then a user can register', async () => {
    service.sidecar.fail('schedule', 1_000);
    expect((await post('register', ADA)).status).toBe(201);
  });
});

describe('POST /api/users/register with an Idempotency-Key', () => {
  const repeatRegistration = (body: object, key = 'key-1') =>
    post('register', body).set('idempotency-key', key);
  /** Simulates a crash after the last write and before the response is stored. */
  const forgetAnswers = () => {
    for (const key of service.sidecar.documents.keys())
      if (key.startsWith('idempotency:')) service.sidecar.documents.delete(key);
  };

  it('When it is repeated, then there is one account and one response', async () => {
    const [first, second] = [await repeatRegistration(ADA), await repeatRegistration(ADA)];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(second.headers['location']).toBe(first.headers['location']);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it('When two networks use the same key, then each has its own account', async () => {
    const one = await repeatRegistration(ADA).set(fromNetwork('192.0.2.1'));
    const other = await repeatRegistration({ ...ADA, email: 'eve@example.com' }).set(
      fromNetwork('198.51.100.7'),
    );
    expect([one.status, other.status]).toEqual([201, 201]);
    const taken = await repeatRegistration({ ...ADA, email: 'bob@example.com' }).set(
      fromNetwork('192.0.2.1'),
    );
    expect([taken.status, slugOf(taken)]).toEqual([422, 'idempotency-key-reused']);
  });

  it.each([
    ['in another order', { name: ADA.name, password: ADA.password, email: ADA.email }],
    ['in other capitals', { ...ADA, email: 'ADA@Example.com' }],
    ['with blanks around', { ...ADA, name: ' Ada ' }],
  ])('When it is repeated, written %s, then the response is the same', async (_case, body) => {
    const [first, second] = [await repeatRegistration(ADA), await repeatRegistration(body)];
    expect([second.status, second.body]).toEqual([201, first.body]);
  });

  it.each([
    ['its answer was kept', () => {}],
    ['its answer was not kept', forgetAnswers],
  ])(
    'When a day has passed since the key created an account and %s, then the key can be used again',
    async (_case, forget) => {
      await repeatRegistration(ADA);
      forget();
      service.sidecar.now = () => Date.now() + 86_400_000;
      const other = await repeatRegistration({ ...ADA, email: 'eve@example.com' });
      expect([other.status, other.headers['idempotent-replayed']]).toEqual([201, undefined]);
      expect(slugOf(await repeatRegistration(ADA))).toBe('idempotency-key-reused');
    },
  );

  it('When the response was not stored, then the account is found', async () => {
    const first = await repeatRegistration(ADA);
    forgetAnswers();
    const second = await repeatRegistration(ADA);
    expect([second.status, second.body]).toEqual([201, first.body]);
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it.each([
    ['another address', { email: 'eve@example.com' }],
    ['another password', { password: 'battery staple' }],
  ])(
    'When the key created an account and is repeated with %s, then the 422 reveals nothing about it',
    async (_case, more) => {
      await repeatRegistration(ADA);
      forgetAnswers();
      const response = await repeatRegistration({ ...ADA, ...more });
      expect([response.status, slugOf(response)]).toEqual([422, 'idempotency-key-reused']);
      expect(JSON.stringify(response.body)).not.toContain('ada@');
    },
  );

  it('When the account of the key was deleted, then its stored response is, too, and the result is 422', async () => {
    await erase((await repeatRegistration(ADA)).body.user_id as string);
    expect(JSON.stringify([...service.sidecar.documents.values()])).not.toContain(ADA.email);
    expect((await repeatRegistration(ADA)).status).toBe(422);
  });

  it('When the address has another account, then 409', async () => {
    await registered();
    expect(slugOf(await repeatRegistration(ADA))).toBe('email-taken');
  });
});

describe('events that could not be published', () => {
  it('When the broker is unavailable, then registering succeeds, and a sweep publishes the event', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    expect(service.publishedEvents('user.registered')).toEqual([]);
    expect([service.workList(), loggedAt('error').length]).toEqual([[id], 1]);
    await sweepLater();
    expect(service.publishedEvents('user.registered').map((event) => event.id)).toEqual([`${id}:1`]);
    expect(service.workList()).toEqual([]);
  });

  it('When the event was published, then the sweep publishes the same event once more', async () => {
    await registered();
    const [first] = service.sidecar.published;
    await sweepLater();
    await sweepLater();
    expect(service.sidecar.published).toEqual([first, first]);
  });

  it('When the broker is still unavailable, then the user stays on the work list', async () => {
    service.sidecar.fail('publish', 2);
    const id = await registered();
    await sweepLater();
    expect(service.workList()).toEqual([id]);
    await sweepLater();
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it('When an account is saved, then the same transaction puts it on the work list', async () => {
    const writes: string[][] = [];
    service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys)));
    const id = await registered();
    const withUser = writes.filter((keys) => keys.includes(`user:${id}`));
    expect(withUser).toHaveLength(1);
    expect(withUser[0]).toContainEqual(expect.stringMatching(/^worklist:/));
  });

  it('When a change follows an unpublished registration, then both are published', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    await put(id, { name: 'Ada L.' });
    expect(service.sidecar.published.map((event) => event.id)).toEqual([`${id}:1`, `${id}:2`]);
    expect(service.publishedEvents('user.registered')[0]?.data).toMatchObject({ user: { name: 'Ada' } });
  });

  it('When publishing a deletion fails, then a sweep publishes it', async () => {
    const id = await registered();
    service.sidecar.fail('publish');
    expect((await erase(id)).status).toBe(204);
    await sweepLater();
    expect(service.publishedEvents('user.deleted')).toEqual([
      { id: `${id}:2`, data: { user_id: id, version: 2 } },
    ]);
  });
});
