import { decodeJwt } from 'jose';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { revokedSessionsSchema } from '../../services/users/contract.ts';
import { slugOf, asCaller, type ServiceUnderTest } from '../support/service-under-test.ts';
import { startUsers, type UsersUnderTest } from '../support/users-under-test.ts';

const DAY = 86_400;
const TTL = 3600;
const HOUR = 3600;
const ADA = { email: 'ada@example.com', password: 'correct horse', name: 'Ada' };

let users: UsersUnderTest;
let service: ServiceUnderTest;
let replicas: UsersUnderTest['replicas'];
const pass = (seconds: number) => users.advanceClock(seconds);

beforeEach(async () => {
  users = await startUsers({
    tokenTtlSeconds: TTL,
    refreshTtlSeconds: 30 * DAY,
    keyRotationSeconds: 365 * DAY,
  });
  ({ service, replicas } = users);
});
afterEach(() => service.stop());

interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  refresh_expires_in: number;
}

/** A session with its tokens. */
interface SessionTokens {
  tokens: Tokens;
  user: string;
  session: string;
  token_version: unknown;
  era: number;
  /** The headers by which the gateway identifies the caller. */
  caller: Record<string, string>;
}

function toSession(tokens: Tokens): SessionTokens {
  const { sub, sid, role, ver: token_version, era = 0 } = decodeJwt(tokens.access_token);
  const [user, session] = [String(sub), String(sid)];
  const caller = { ...asCaller(user, role as 'customer'), 'x-caller-session': session };
  return { tokens, user, session, token_version, era: Number(era), caller };
}

const register = (more = {}) => service.http.post('/api/users/register').send({ ...ADA, ...more });

async function logIn({ email, password } = ADA): Promise<SessionTokens> {
  const response = await service.http.post('/api/users/login').send({ email, password });
  expect(response.status).toBe(200);
  return toSession(response.body as Tokens);
}

/** Registers a user and logs in that many times. */
async function sessionsOfAda<Count extends 1 | 2 | 3>(count: Count) {
  await register();
  const all: SessionTokens[] = [];
  for (let nr = 0; nr < count; nr++) all.push(await logIn());
  return all as [SessionTokens, SessionTokens, SessionTokens];
}

const refresh = (token: string, http = service.http) =>
  http.post('/api/users/token').send({ refresh_token: token });
const statusOf = async ({ tokens }: SessionTokens) => (await refresh(tokens.refresh_token)).status;
const logOut = (caller: Record<string, string>, body?: object) =>
  service.http.post('/api/users/logout').set(caller).send(body);
const put = (user: string, body: object, caller: Record<string, string>) =>
  service.http
    .put(`/api/users/${user}`)
    .set(caller)
    .send({ current_password: ADA.password, ...body });

const sorted = (statuses: number[]) => statuses.toSorted((one, other) => one - other);

const endedAt = async (http = service.http) => (await revokedListOf(http)).items;
const revokedListOf = async (http = service.http) =>
  revokedSessionsSchema.parse((await http.get('/sessions/revoked')).body);

const audited = () => service.logs.filter((line) => line['audit'] !== undefined);

async function counted(name: string): Promise<string[]> {
  const { text } = await service.http.get('/metrics');
  return text.split('\n').filter((line) => line.startsWith(name) && !line.endsWith(' 0'));
}

/** Whether the gateway rejects an access token, by the list. */
async function isRefused(
  { user, session, token_version, era }: SessionTokens,
  http = service.http,
): Promise<boolean> {
  const list = await revokedListOf(http);
  const isListed = list.items.some((item) =>
    'session_id' in item
      ? item.session_id === session
      : item.user_id === user && Number(token_version) < item.token_version && session !== item.except,
  );
  return isListed || era < list.era;
}

describe('POST /api/users/token', () => {
  it('When the token is the newest, then the response has new ones of the same session', async () => {
    const [before] = await sessionsOfAda(1);
    pass(DAY);
    const response = await refresh(before.tokens.refresh_token);
    expect([response.status, response.headers['cache-control']]).toEqual([200, 'no-store']);
    expect(response.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: TTL,
      refresh_expires_in: 30 * DAY,
    });
    const after = toSession(response.body as Tokens);
    expect(after.tokens.refresh_token).not.toBe(before.tokens.refresh_token);
    expect([after.user, after.session]).toEqual([before.user, before.session]);
    expect(decodeJwt(after.tokens.access_token).iat).toBe(users.now().getTime() / 1000);
    expect(await counted('users_tokens_refreshed_total')).toEqual(['users_tokens_refreshed_total 1']);
  });

  it('When it is refreshed again and again, then each new token works, at every replica', async () => {
    let { tokens } = (await sessionsOfAda(1))[0];
    for (const http of [...replicas, ...replicas]) {
      const response = await refresh(tokens.refresh_token, http);
      expect(response.status).toBe(200);
      tokens = response.body as Tokens;
    }
  });

  it('When the role has changed, then the new access token has the new one', async () => {
    const [{ tokens, user }] = await sessionsOfAda(1);
    const document = service.sidecar.documents.get(`user:${user}`)!;
    Object.assign(document.value as object, { role: 'admin' });
    const { access_token: token } = (await refresh(tokens.refresh_token)).body as Tokens;
    expect(decodeJwt(token)['role']).toBe('admin');
  });

  it('When a used token is presented, then its whole session ends and an audit line is logged', async () => {
    const [{ tokens, user, session }] = await sessionsOfAda(1);
    const next = toSession((await refresh(tokens.refresh_token)).body as Tokens);
    expect(slugOf(await refresh(tokens.refresh_token))).toBe('invalid-token');
    expect(await statusOf(next)).toBe(401);
    expect(await isRefused(next)).toBe(true);
    expect(audited()).toMatchObject([
      { level: 'warn', audit: 'refresh-token-reuse', user_id: user, session_id: session },
    ]);
    expect(await counted('users_sessions_ended_total')).toEqual([
      'users_sessions_ended_total{reason="reuse"} 1',
    ]);
  });

  it('When a used token ends a session, then other sessions of the user continue', async () => {
    const [stolen, other] = await sessionsOfAda(2);
    await refresh(stolen.tokens.refresh_token);
    await refresh(stolen.tokens.refresh_token);
    expect(await isRefused(other)).toBe(false);
    expect(await statusOf(other)).toBe(200);
  });

  it('When one token comes to two replicas at once, then one response has tokens, and they are invalid', async () => {
    const [{ tokens }] = await sessionsOfAda(1);
    const responses = await Promise.all(replicas.map((http) => refresh(tokens.refresh_token, http)));
    expect(sorted(responses.map(({ status }) => status))).toEqual([200, 401]);
    const won = toSession(responses.find(({ status }) => status === 200)!.body as Tokens);
    expect(await isRefused(won)).toBe(true);
    expect(await statusOf(won)).toBe(401);
    expect(audited()).toHaveLength(1);
  });

  it('When the store fails, then 503, and the token works afterwards', async () => {
    const [session] = await sessionsOfAda(1);
    service.sidecar.fail('state', 2);
    expect([await statusOf(session), await statusOf(session)]).toEqual([503, 503]);
    expect(await statusOf(session)).toBe(200);
  });

  it('When the session has expired, then 401, even if the store still has it', async () => {
    const [session] = await sessionsOfAda(1);
    pass(30 * DAY);
    expect(await statusOf(session)).toBe(401);
  });

  it('When ninety days have passed since the login, then the session is over, with all its tokens', async () => {
    let [{ tokens }] = await sessionsOfAda(1);
    for (const seconds of [29 * DAY, 29 * DAY, 29 * DAY, 3 * DAY - 60]) {
      pass(seconds);
      tokens = (await refresh(tokens.refresh_token)).body as Tokens;
    }
    expect([tokens.refresh_expires_in, tokens.expires_in]).toEqual([60, 60]);
    expect(decodeJwt(tokens.access_token).exp).toBe(users.now().getTime() / 1000 + 60);
    pass(60);
    expect((await refresh(tokens.refresh_token)).status).toBe(401);
  });

  it('When tokens are invalid, then the responses are indistinguishable, and nothing changes', async () => {
    const [{ tokens }, ended] = await sessionsOfAda(2);
    await logOut(ended.caller);
    const [sid, generation, mac] = tokens.refresh_token.split('.');
    const invalidTokens = [
      'garbage',
      `${sid}.${generation}.${'A'.repeat(43)}`,
      `${sid}.2.${mac}`,
      `${randomUUID()}.${generation}.${mac}`,
      tokens.access_token,
      ended.tokens.refresh_token,
    ];
    const before = structuredClone(service.sidecar.documents);
    const answers = await Promise.all(invalidTokens.map(async (token) => refresh(token)));
    const texts = answers.map(({ status, body }) => JSON.stringify([status, { ...body, request_id: '' }]));
    expect(new Set(texts).size).toBe(1);
    expect([answers[0]?.status, slugOf(answers[0]!)]).toEqual([401, 'invalid-token']);
    expect(service.sidecar.documents).toEqual(before);
    expect(audited()).toEqual([]);
  });

  it.each([
    ['nothing', {}, ['refresh_token']],
    ['an empty token', { refresh_token: '' }, ['refresh_token']],
    ['a very long token', { refresh_token: 'x'.repeat(513) }, ['refresh_token']],
    ['another grant', { refresh_token: 'x', grant_type: 'password' }, ['grant_type']],
    ['a field too many', { refresh_token: 'x', scope: 'all' }, ['scope']],
  ])('When the body has %s, then the 422 names it', async (_case, body, fields) => {
    const response = await service.http.post('/api/users/token').send(body);
    expect(response.status).toBe(422);
    const errors = (response.body as { errors: { field: string }[] }).errors;
    expect(errors.map(({ field }) => field)).toEqual(fields);
  });

  it('When the grant type is that of RFC 6749, then it is accepted', async () => {
    const [{ tokens }] = await sessionsOfAda(1);
    const body = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    expect((await service.http.post('/api/users/token').send(body)).status).toBe(200);
  });

  it('When a session is saved, then it has no tokens, and it expires', async () => {
    const [{ tokens, session }] = await sessionsOfAda(1);
    expect(service.sidecar.documents.has(`session:${session}`)).toBe(true);
    const stored = JSON.stringify([...service.sidecar.documents]);
    expect(stored).not.toContain(tokens.refresh_token.split('.')[2]);
    expect(stored).not.toContain(tokens.access_token);
  });
});

describe('POST /api/users/logout', () => {
  it('When the caller logs out, then only that session ends, at every replica', async () => {
    const [gone, other] = await sessionsOfAda(2);
    const response = await logOut(gone.caller);
    expect([response.status, response.headers['cache-control']]).toEqual([204, 'no-store']);
    expect(await statusOf(gone)).toBe(401);
    for (const http of replicas) expect(await endedAt(http)).toEqual([{ session_id: gone.session }]);
    expect(await statusOf(other)).toBe(200);
  });

  it('When the caller logs out again, then 204, and it counts once', async () => {
    const [{ caller }] = await sessionsOfAda(1);
    expect((await logOut(caller)).status).toBe(204);
    expect((await logOut(caller)).status).toBe(204);
    expect(await counted('users_sessions_ended_total')).toEqual([
      'users_sessions_ended_total{reason="logout"} 1',
    ]);
  });

  it.each([
    ['as it is', (token: string) => token, [true, true]],
    ['forged', (token: string) => token.replace(/.{43}$/, 'A'.repeat(43)), [true, false]],
    ['garbage', () => 'garbage', [true, false]],
  ])(
    "When another session's refresh token comes with the request, %s, then sessions end as expected",
    async (_case, change, ended) => {
      const [own, other] = await sessionsOfAda(2);
      await logOut(own.caller, { refresh_token: change(other.tokens.refresh_token) });
      expect([await isRefused(own), await isRefused(other)]).toEqual(ended);
      expect([await statusOf(own), await statusOf(other)]).toEqual(ended.map((is) => (is ? 401 : 200)));
    },
  );

  it("When the request has another user's refresh token, then 204, and that session continues", async () => {
    const [own] = await sessionsOfAda(1);
    await register({ email: 'eve@example.com' });
    const other = await logIn({ ...ADA, email: 'eve@example.com' });
    expect((await logOut(own.caller, { refresh_token: other.tokens.refresh_token })).status).toBe(204);
    expect(await statusOf(other)).toBe(200);
  });

  it('When a refresh comes at the same time, then the session still ends', async () => {
    const [session] = await sessionsOfAda(1);
    const [out, refreshed] = await Promise.all([
      logOut(session.caller),
      refresh(session.tokens.refresh_token, replicas[1]),
    ]);
    expect(out.status).toBe(204);
    const newest = refreshed.status === 200 ? toSession(refreshed.body as Tokens) : session;
    expect(await isRefused(newest)).toBe(true);
    expect(await statusOf(newest)).toBe(401);
  });

  it('When many log out at once, at both replicas, then all are listed', async () => {
    await register();
    const all = await Promise.all(Array.from({ length: 10 }, () => logIn()));
    await Promise.all(
      all.map(({ caller }, nr) => replicas[nr % 2 ? 1 : 0].post('/api/users/logout').set(caller)),
    );
    expect(await Promise.all(all.map((one) => isRefused(one)))).toEqual(all.map(() => true));
  });

  it('When the store fails, then 503 and the session continues; a retry ends it', async () => {
    const [session] = await sessionsOfAda(1);
    service.sidecar.fail('state');
    expect((await logOut(session.caller)).status).toBe(503);
    expect(await isRefused(session)).toBe(false);
    expect((await logOut(session.caller)).status).toBe(204);
    expect(await isRefused(session)).toBe(true);
  });

  it('When there is no caller, then 401', async () => {
    expect((await logOut({})).status).toBe(401);
  });
});

describe('GET /sessions/revoked', () => {
  it('When no session has ended, then the list is empty and not cacheable', async () => {
    const response = await service.http.get('/sessions/revoked');
    expect([response.status, response.body]).toEqual([200, { items: [], era: 0 }]);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('When the access tokens must have expired, then the session is not listed', async () => {
    const [session] = await sessionsOfAda(1);
    await logOut(session.caller);
    pass(TTL + 120 + 2 * HOUR - 1);
    expect(await isRefused(session)).toBe(true);
    pass(1);
    expect(await endedAt()).toEqual([]);
  });

  it('When another session ends later, then expired entries are deleted from the store', async () => {
    const [one, other] = await sessionsOfAda(2);
    await logOut(one.caller);
    pass(TTL + 120 + 2 * HOUR);
    await logOut(other.caller);
    const list = service.sidecar.documents.get('revoked-sessions')!.value as { sessions: object };
    expect(Object.keys(list.sessions)).toEqual([other.session]);
  });
});

describe('too many revoked sessions', () => {
  const entries = (until: number) =>
    Object.fromEntries(Array.from({ length: 20_000 }, () => [randomUUID(), until]));
  /** Fills the list with sessions of other users. */
  const listed = (until: number, era = 0) =>
    service.sidecar.documents.set('revoked-sessions', {
      value: { sessions: entries(until), users: {}, era },
      etag: 'planted',
    });

  it.each([
    ['a logout', ({ caller }: SessionTokens) => logOut(caller), 204],
    [
      'a new password',
      ({ user, caller }: SessionTokens) => put(user, { password: 'new password' }, caller),
      200,
    ],
    [
      'a deletion',
      ({ user, caller }: SessionTokens) => service.http.delete(`/api/users/${user}`).set(caller),
      204,
    ],
  ])(
    'When the list is full, then %s succeeds as usual, and its tokens are rejected',
    async (_, end, status) => {
      const [own, other] = await sessionsOfAda(2);
      listed(users.now().getTime() / 1000 + TTL);
      expect((await end(own)).status).toBe(status);
      for (const http of replicas) expect(await isRefused(status === 200 ? other : own, http)).toBe(true);
      expect(await revokedListOf()).toEqual({ items: [], era: 1 });
      expect(service.logs.filter(({ audit }) => audit === 'token-era')).toMatchObject([
        { level: 'warn', era: 1 },
      ]);
    },
  );

  it('When it was full, then ended sessions stay rejected, and other sessions get new tokens', async () => {
    const [gone, last, other] = await sessionsOfAda(3);
    await logOut(gone.caller);
    listed(users.now().getTime() / 1000 + TTL);
    await logOut(last.caller);
    expect([await isRefused(gone), await isRefused(last), await isRefused(other)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([await statusOf(gone), await statusOf(last)]).toEqual([401, 401]);
    for (const http of replicas) {
      const renewed = toSession((await refresh(other.tokens.refresh_token, http)).body as Tokens);
      expect([renewed.era, await isRefused(renewed)]).toEqual([1, false]);
      other.tokens = renewed.tokens;
    }
    expect(await isRefused(await logIn())).toBe(false);
  });

  it('When it is full a second time, then the previous era is rejected as well', async () => {
    for (const era of [1, 2]) {
      await register();
      const own = await logIn();
      listed(users.now().getTime() / 1000 + TTL, era - 1);
      await logOut(own.caller);
      expect((await revokedListOf()).era).toBe(era);
      expect(await isRefused(own)).toBe(true);
    }
  });

  it('When a refresh began before a password change with a full list, then its token is rejected', async () => {
    const [own, other] = await sessionsOfAda(2);
    listed(users.now().getTime() / 1000 + TTL);
    const otherReplica = service.createReplica();
    await vi.waitFor(() => otherReplica.get('/readyz').expect(200), { interval: 5 });
    let changing: Promise<number> | undefined;
    service.sidecar.onStateCall(async ({ op, keys }) => {
      // The refresh has read the old account. All else happens before it writes.
      if (op !== 'write' || changing || !keys.includes(`session:${other.session}`)) return;
      changing = put(own.user, { password: 'new password' }, own.caller).then(({ status }) => status);
      await changing;
    });
    const response = await refresh(other.tokens.refresh_token, otherReplica);
    expect([await changing, response.status]).toEqual([200, 200]);
    expect(await isRefused(toSession(response.body as Tokens))).toBe(true);
  });

  it('When the list is full of expired entries, then there is room', async () => {
    const [own] = await sessionsOfAda(1);
    listed(users.now().getTime() / 1000);
    expect((await logOut(own.caller)).status).toBe(204);
    expect(await endedAt()).toEqual([{ session_id: own.session }]);
  });
});

describe('a new password', () => {
  it('When the user changes it, then all other sessions end, and the current one continues', async () => {
    const [own, other] = await sessionsOfAda(2);
    expect((await put(own.user, { password: 'new password' }, own.caller)).status).toBe(200);
    expect(await endedAt()).toEqual([{ user_id: own.user, token_version: 1, except: own.session }]);
    expect([await isRefused(own), await isRefused(other)]).toEqual([false, true]);
    expect(await statusOf(other)).toBe(401);
    const next = toSession((await refresh(own.tokens.refresh_token)).body as Tokens);
    expect(next.token_version).toBe(1);
    expect(await isRefused(next)).toBe(false);
    expect(await counted('users_sessions_ended_total')).toEqual([
      'users_sessions_ended_total{reason="password"} 1',
    ]);
  });

  it('When the user logs in afterwards, then that session works', async () => {
    const [own] = await sessionsOfAda(1);
    await put(own.user, { password: 'new password' }, own.caller);
    const next = await logIn({ ...ADA, password: 'new password' });
    expect([next.token_version, await isRefused(next), await statusOf(next)]).toEqual([1, false, 200]);
  });

  it('When an administrator changes it, then all sessions end', async () => {
    const [one, other] = await sessionsOfAda(2);
    const admin = { ...asCaller(randomUUID(), 'admin'), 'x-caller-session': randomUUID() };
    expect((await put(one.user, { password: 'new password' }, admin)).status).toBe(200);
    expect(await endedAt()).toEqual([{ user_id: one.user, token_version: 1 }]);
    expect([await statusOf(one), await statusOf(other)]).toEqual([401, 401]);
  });

  it('When a session changes it and then an administrator does, then that session ends, too', async () => {
    const [own] = await sessionsOfAda(1);
    await put(own.user, { password: 'new password' }, own.caller);
    const next = toSession((await refresh(own.tokens.refresh_token)).body as Tokens);
    await put(own.user, { password: 'newer password' }, asCaller(randomUUID(), 'admin'));
    expect([await isRefused(own), await isRefused(next)]).toEqual([true, true]);
    expect(await statusOf(next)).toBe(401);
  });

  it('When the same change is repeated, then its session still continues', async () => {
    const [own, other] = await sessionsOfAda(2);
    for (const current_password of [ADA.password, 'new password']) {
      const body = { password: 'new password', current_password };
      expect((await put(own.user, body, own.caller)).status).toBe(200);
    }
    expect([await isRefused(own), await isRefused(other)]).toEqual([false, true]);
    expect([await statusOf(own), await statusOf(other)]).toEqual([200, 401]);
  });

  it.each([
    [
      'by a new password',
      ({ caller, user }: SessionTokens) => put(user, { password: 'new password' }, caller),
    ],
    [
      'by a logout',
      ({ caller }: SessionTokens, other: SessionTokens) =>
        logOut(caller, { refresh_token: other.tokens.refresh_token }),
    ],
  ])(
    'When a session that has ended %s sets a password, then 401 and the password is unchanged',
    async (_case, end) => {
      const [own, other] = await sessionsOfAda(2);
      await end(own, other);
      const response = await put(other.user, { password: 'stolen horse' }, other.caller);
      expect([response.status, slugOf(response)]).toEqual([401, 'unauthenticated']);
      const login = { email: ADA.email, password: 'stolen horse' };
      expect((await service.http.post('/api/users/login').send(login)).status).toBe(401);
    },
  );

  it('When two sessions set one at once, then one continues', async () => {
    const [one, other] = await sessionsOfAda(2);
    const answers = await Promise.all([
      put(one.user, { password: 'first password' }, one.caller),
      put(one.user, { password: 'second password' }, other.caller),
    ]);
    expect(sorted(answers.map(({ status }) => status))).toEqual([200, 401]);
    expect(sorted([await statusOf(one), await statusOf(other)])).toEqual([200, 401]);
  });

  it('When the account is older than sessions, then its token version is 0', async () => {
    const [own] = await sessionsOfAda(1);
    const account = service.sidecar.documents.get(`user:${own.user}`)!.value;
    expect(account).not.toHaveProperty('sessions_ended');
    expect(own.token_version).toBe(0);
  });

  it('When the name or the address changes, then no session ends', async () => {
    const [own, other] = await sessionsOfAda(2);
    await put(own.user, { name: 'Ada L.', email: 'lovelace@example.com' }, own.caller);
    expect(await endedAt()).toEqual([]);
    expect([await statusOf(own), await statusOf(other)]).toEqual([200, 200]);
  });

  it('When the list cannot be saved, then the change still succeeds, and a sweep updates the list', async () => {
    const [own, other] = await sessionsOfAda(2);
    service.sidecar.onStateCall(({ op, keys }) => {
      if (op === 'write' && keys.includes('revoked-sessions')) throw new Error('away');
    });
    expect((await put(own.user, { password: 'new password' }, own.caller)).status).toBe(200);
    service.sidecar.onStateCall(() => {});
    expect(await isRefused(other)).toBe(false);
    service.addDue(own.user);
    expect(await service.sweep()).toBe(200);
    expect([await isRefused(own), await isRefused(other)]).toEqual([false, true]);
    expect(service.publishedEvents('user.updated').length).toBeGreaterThan(0);
  });

  it('When the service dies before it updates the list, then a sweep does', async () => {
    const [own, other] = await sessionsOfAda(2);
    await put(own.user, { password: 'new password' }, own.caller);
    service.sidecar.documents.delete('revoked-sessions');
    expect(await statusOf(other)).toBe(401);
    service.addDue(own.user);
    expect(await service.sweep()).toBe(200);
    expect([await isRefused(own), await isRefused(other)]).toEqual([false, true]);
  });
});

describe('a deleted account', () => {
  it('When an account is deleted, then all its sessions end', async () => {
    const [one, other] = await sessionsOfAda(2);
    expect((await service.http.delete(`/api/users/${one.user}`).set(one.caller)).status).toBe(204);
    expect(await endedAt()).toEqual([{ user_id: one.user, token_version: 1 }]);
    expect([await statusOf(one), await statusOf(other)]).toEqual([401, 401]);
    expect(await counted('users_sessions_ended_total')).toEqual([
      'users_sessions_ended_total{reason="deleted"} 1',
    ]);
  });

  it('When the service dies before it updates the list, then a sweep does', async () => {
    const [own] = await sessionsOfAda(1);
    await service.http.delete(`/api/users/${own.user}`).set(own.caller);
    service.sidecar.documents.delete('revoked-sessions');
    service.addDue(own.user);
    expect(await service.sweep()).toBe(200);
    expect(await isRefused(own)).toBe(true);
  });
});

describe('replicas whose clocks differ by an hour', () => {
  const CLOCK_DIFFERENCE = [HOUR, -HOUR];

  it.each(CLOCK_DIFFERENCE)(
    'When the second clock is %i s ahead, then a session works at both',
    async (seconds) => {
      users.clockSkewSeconds[1] = seconds;
      let [{ tokens }] = await sessionsOfAda(1);
      for (const http of [replicas[1], replicas[0], replicas[1]]) {
        pass(DAY);
        const response = await refresh(tokens.refresh_token, http);
        expect(response.status).toBe(200);
        tokens = response.body as Tokens;
      }
    },
  );

  it.each(CLOCK_DIFFERENCE)(
    'When the second clock is %i s ahead, then both list an ended session as long as one of its tokens could be valid',
    async (seconds) => {
      users.clockSkewSeconds[1] = seconds;
      await register();
      for (const [signer, logoutReplica] of [
        [0, 1],
        [1, 0],
      ] as const) {
        const body = { email: ADA.email, password: ADA.password };
        const own = toSession((await replicas[signer].post('/api/users/login').send(body)).body as Tokens);
        await replicas[logoutReplica].post('/api/users/logout').set(own.caller);
        const expires = Number(decodeJwt(own.tokens.access_token).exp);
        // The verifying gateway has the slower clock.
        const isExpired = () => expires <= users.now().getTime() / 1000 + Math.min(0, seconds);
        while (!isExpired()) {
          for (const http of replicas) expect(await isRefused(own, http)).toBe(true);
          pass(600);
        }
      }
    },
  );

  it.each(CLOCK_DIFFERENCE)(
    'When the second clock is %i s ahead, then a new password ends sessions at both',
    async (seconds) => {
      users.clockSkewSeconds[1] = seconds;
      const [own, other] = await sessionsOfAda(2);
      const body = { password: 'new password', current_password: ADA.password };
      expect((await replicas[1].put(`/api/users/${own.user}`).set(own.caller).send(body)).status).toBe(200);
      for (const http of replicas)
        expect([await isRefused(own, http), await isRefused(other, http)]).toEqual([false, true]);
      for (const http of replicas) expect((await refresh(other.tokens.refresh_token, http)).status).toBe(401);
    },
  );
});
