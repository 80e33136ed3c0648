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
      clock: () => performance.now(),
    }),
  );
  await ready();
});
afterEach(() => service.stop());

const post = (path: string, body: object) => service.http.post(`/api/users/${path}`).send(body);
const get = (id: string) => service.http.get(`/api/users/${id}`).set(asCaller(id));
const put = (id: string, body: object) => service.http.put(`/api/users/${id}`).set(asCaller(id)).send(body);
const erase = (id: string) => service.http.delete(`/api/users/${id}`).set(asCaller(id));
const fireJob = (name: string) => {
  const { data = {} } = service.sidecar.jobs.get(name) as { data?: object };
  return service.http.post(`/job/${name}`).send(data);
};
const fieldsOf = (response: { body: unknown }) =>
  (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);
const loggedAt = (level: string) => service.logs.filter((line) => line['level'] === level);

async function registered(more: Partial<typeof ADA> = {}): Promise<string> {
  const response = await post('register', { ...ADA, ...more });
  expect(response.status).toBe(201);
  return (response.body as { user_id: string }).user_id;
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
    expect(service.publishedEvents('user.registered')).toEqual([
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

  it('When the domain has letters beyond ASCII, then the address is kept as the mail system writes it', async () => {
    const id = await registered({ email: 'ada@bücher.de' });
    expect((await get(id)).body).toMatchObject({ email: 'ada@xn--bcher-kva.de' });
    for (const email of ['ada@bücher.de', 'ada@BÜCHER.de', 'ada@xn--bcher-kva.de'])
      expect((await post('login', { email, password: ADA.password })).status).toBe(200);
  });

  it('When the address has an account, in other capitals, then 409 and the account is as it was', async () => {
    await registered();
    const response = await post('register', { ...ADA, email: 'ADA@example.com', password: 'another one' });
    expect([response.status, slugOf(response)]).toEqual([409, 'email-taken']);
    expect((await post('login', { email: ADA.email, password: ADA.password })).status).toBe(200);
  });

  it('When two register the same address at once, then one gets it', async () => {
    const responses = await Promise.all([post('register', ADA), post('register', ADA)]);
    expect(responses.map(({ status }) => status)).toEqual(expect.arrayContaining([201, 409]));
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it('When many register at once, then all are listed', async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, nr) => registered({ email: `user${nr}@example.com` })),
    );
    const response = await service.http.get('/api/users').set(asCaller(randomUUID(), 'admin'));
    const items = (response.body as { items: { user_id: string }[] }).items;
    expect(items.map(({ user_id }) => user_id).toSorted()).toEqual(ids.toSorted());
  });

  it('When the password is stored, then only as an argon2id hash', async () => {
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
    ['a name that nobody can see', { name: '\u200b' }, ['name']],
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

describe('POST /api/users/register with an Idempotency-Key', () => {
  const again = (body: object, key = 'key-1') => post('register', body).set('idempotency-key', key);
  /** As after a crash between the last write and the keeping of the answer. */
  const forgetAnswers = () => {
    for (const key of service.sidecar.documents.keys())
      if (key.startsWith('idempotency:')) service.sidecar.documents.delete(key);
  };

  it('When it is asked twice, then one account is made and the answers are the same', async () => {
    const [first, second] = [await again(ADA), await again(ADA)];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(second.headers['location']).toBe(first.headers['location']);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
  });

  it('When two networks use the same key, then each has an account of its own', async () => {
    const one = await again(ADA).set(fromNetwork('192.0.2.1'));
    const other = await again({ ...ADA, email: 'eve@example.com' }).set(fromNetwork('198.51.100.7'));
    expect([one.status, other.status]).toEqual([201, 201]);
    const taken = await again({ ...ADA, email: 'bob@example.com' }).set(fromNetwork('192.0.2.1'));
    expect([taken.status, slugOf(taken)]).toEqual([422, 'idempotency-key-reused']);
  });

  it.each([
    ['in another order', { name: ADA.name, password: ADA.password, email: ADA.email }],
    ['in other capitals', { ...ADA, email: 'ADA@Example.com' }],
    ['with blanks around', { ...ADA, name: ' Ada ' }],
  ])('When it is asked again, written %s, then the answer is the same', async (_case, body) => {
    const [first, second] = [await again(ADA), await again(body)];
    expect([second.status, second.body]).toEqual([201, first.body]);
  });

  it.each([
    ['its answer was kept', () => {}],
    ['its answer was not kept', forgetAnswers],
  ])(
    'When a day has passed since the key made an account and %s, then the key is new',
    async (_case, forget) => {
      await again(ADA);
      forget();
      service.sidecar.now = () => Date.now() + 86_400_000;
      const other = await again({ ...ADA, email: 'eve@example.com' });
      expect([other.status, other.headers['idempotent-replayed']]).toEqual([201, undefined]);
      expect(slugOf(await again(ADA))).toBe('idempotency-key-reused');
    },
  );

  it('When the answer was not kept, then the account is found, said again and answered', async () => {
    const first = await again(ADA);
    forgetAnswers();
    const second = await again(ADA);
    expect([second.status, second.body]).toEqual([201, first.body]);
    expect(service.publishedEvents('user.registered').map(({ id }) => id)).toEqual(
      Array.from({ length: 2 }, () => `${first.body.user_id}:1`),
    );
  });

  it.each([
    ['another address', { email: 'eve@example.com' }],
    ['another password', { password: 'battery staple' }],
  ])(
    'When the key made an account and comes back with %s, then 422 tells nothing of it',
    async (_case, more) => {
      await again(ADA);
      forgetAnswers();
      const response = await again({ ...ADA, ...more });
      expect([response.status, slugOf(response)]).toEqual([422, 'idempotency-key-reused']);
      expect(JSON.stringify(response.body)).not.toContain('ada@');
    },
  );

  it('When the account of the key was deleted, then the kept answer is gone with it, and 422', async () => {
    await erase((await again(ADA)).body.user_id as string);
    expect(JSON.stringify([...service.sidecar.documents.values()])).not.toContain(ADA.email);
    expect((await again(ADA)).status).toBe(422);
  });

  it('When the address has another account, then 409', async () => {
    await registered();
    expect(slugOf(await again(ADA))).toBe('email-taken');
  });
});

describe('What is not said at once', () => {
  it('When the broker is down, then registering works and the job is there to say it', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    expect(service.publishedEvents('user.registered')).toEqual([]);
    expect(service.sidecar.jobs.get(`user-${id}-1`)).toMatchObject({
      dueTime: '10s',
      schedule: '@every 30s',
    });
    expect(loggedAt('error')).toHaveLength(1);
  });

  it('When the job fires, then it says the same message and ends', async () => {
    const id = await registered();
    const [first] = service.sidecar.published;
    service.sidecar.jobs.set(`user-${id}-1`, { dueTime: '10s' });
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

  it('When the write never happened, then the job looks for two minutes, whatever the clocks, and says nothing', async () => {
    const name = `user-${randomUUID()}-1`;
    service.sidecar.jobs.set(name, { dueTime: '10s' });
    for (let look = 1; look <= 4; look++) {
      expect((await fireJob(name)).status).toBe(200);
      expect(service.sidecar.jobs.get(name)).toMatchObject({
        dueTime: '30s',
        data: { checks: String(look) },
      });
    }
    expect((await fireJob(name)).status).toBe(200);
    expect(service.sidecar.jobs.has(name)).toBe(false);
    expect(service.sidecar.published).toEqual([]);
  });

  it('When the write happens after the job has looked, then the next look says it', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    const document = service.sidecar.documents.get(`user:${id}`)!;
    service.sidecar.documents.delete(`user:${id}`);
    await fireJob(`user-${id}-1`);
    service.sidecar.documents.set(`user:${id}`, document);
    await fireJob(`user-${id}-1`);
    expect(service.publishedEvents('user.registered')).toHaveLength(1);
    expect(service.sidecar.jobs.has(`user-${id}-1`)).toBe(false);
  });

  it('When an unsaid registration is followed by a change, then both are said', async () => {
    service.sidecar.fail('publish');
    const id = await registered();
    await put(id, { name: 'Ada L.' });
    expect(service.sidecar.published.map((event) => event.id)).toEqual([`${id}:1`, `${id}:2`]);
    expect(service.publishedEvents('user.registered')[0]?.data).toMatchObject({ user: { name: 'Ada' } });
  });

  it('When an unsaid deletion is left to its job, then the job says it', async () => {
    const id = await registered();
    service.sidecar.fail('publish');
    expect((await erase(id)).status).toBe(204);
    await fireJob(`user-${id}-2`);
    expect(service.publishedEvents('user.deleted')).toEqual([
      { id: `${id}:2`, data: { user_id: id, version: 2 } },
    ]);
  });
});
