import { describe, expect, it } from 'vitest';
import {
  lengthOf,
  nextEra,
  NO_REVOCATIONS,
  activeRevocations,
  revokedUntil,
  addRevocations,
  type Revocation,
} from '../../services/users/domain/revoked-sessions.ts';
import { isGenuine, parseRefreshToken, refreshTokenOf } from '../../services/users/domain/refresh-token.ts';
import { begun, decide, isOpen, rotated, secondsLeft } from '../../services/users/domain/session.ts';
import { changed, registered } from '../../services/users/domain/user.ts';

const DAY = 86_400;
const SID = '01940f8a-3c1d-7e02-b1a4-5d6e7f809102';
const OTHER_SID = '01940f8a-3c1d-7e02-b1a4-5d6e7f809103';
const KEY = Buffer.alloc(32, 7).toString('base64url');
const start = new Date('2026-03-01T00:00:00.000Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);

const ADA = registered(
  { user_id: 'u1', email: 'ada@example.com', name: 'Ada', role: 'customer', password_hash: 'hash' },
  't1',
);
const newPassword = (session?: string) => changed(ADA, { password_hash: 'other' }, 't2', session);
const first = begun({ session_id: SID, key: KEY }, ADA, start, 30 * DAY);
const third = { ...first, generation: 3 };

describe('a session', () => {
  it('When it begins, then it has the first generation and the token version of the account', () => {
    expect(first).toMatchObject({
      user_id: 'u1',
      token_version: 0,
      generation: 1,
      created_at: start.toISOString(),
    });
    expect(secondsLeft(first, start)).toBe(30 * DAY);
    expect(begun({ session_id: SID, key: KEY }, newPassword(), start, DAY).token_version).toBe(1);
  });

  it('When a wrong clock wrote its end, then the remaining time is at most its lifetime', () => {
    expect(secondsLeft(first, new Date(0))).toBe(90 * DAY);
  });

  it('When it is refreshed, then the next generation has the full lifetime and the token_version', () => {
    const next = rotated(first, newPassword(SID), after(DAY), 30 * DAY);
    expect(next).toEqual({
      ...first,
      generation: 2,
      token_version: 1,
      expires_at: after(31 * DAY).toISOString(),
    });
  });

  it.each([
    [59, 30],
    [61, 29],
    [89, 1],
    [90, 0],
  ])('When it is refreshed %i days after the login, then it lasts %i days more', (day, left) => {
    expect(secondsLeft(rotated(first, ADA, after(day * DAY), 30 * DAY), after(day * DAY))).toBe(left * DAY);
  });

  it.each([
    ['the account is as it was', ADA, 0, true],
    ['it has expired', ADA, 30 * DAY, false],
    ['the password was changed elsewhere', newPassword(OTHER_SID), 0, false],
    ['the password was changed by an administrator', newPassword(), 0, false],
    ['the password was changed in it', newPassword(SID), 0, true],
    [
      'it was changed in it, and then elsewhere',
      changed(newPassword(SID), { password_hash: 'x' }, 't3'),
      0,
      false,
    ],
    ['it belongs to another account', { ...ADA, user_id: 'u2' }, 0, false],
  ])('When %s, then it is open or not as the table has it', (_case, account, seconds, open) => {
    expect(isOpen(first, account, after(seconds))).toBe(open);
  });
});

describe('decide', () => {
  it.each([
    ['the newest token', 3, ADA, 0, 'rotate'],
    ['the one before', 2, ADA, 0, 'reuse'],
    ['the first', 1, ADA, 0, 'reuse'],
    ['an unissued token', 4, ADA, 0, 'refuse'],
    ['the newest token of a deleted account', 3, undefined, 0, 'refuse'],
    ['a used token of a deleted account', 2, undefined, 0, 'refuse'],
    ['the newest token, too late', 3, ADA, 30 * DAY, 'refuse'],
    ['the newest token after a new password', 3, newPassword(), 0, 'refuse'],
    ['the newest token where the password was changed', 3, newPassword(SID), 0, 'rotate'],
    ['a used token after a new password', 2, newPassword(), 0, 'refuse'],
  ] as const)(
    'When %s is presented, then the decision is that of the table',
    (_case, generation, account, seconds, decision) => {
      expect(decide(third, generation, account, after(seconds))).toBe(decision);
    },
  );
});

describe('a refresh token', () => {
  const token = refreshTokenOf(third);
  const mac = token.split('.')[2]!;
  const genuine = (text: string) => {
    const presented = parseRefreshToken(text);
    return presented !== undefined && isGenuine(presented, third);
  };

  it('When it is used again, then it is recognised, also in later generations', () => {
    expect(parseRefreshToken(token)).toEqual({ sessionId: SID, generation: 3, mac });
    expect(genuine(token)).toBe(true);
    expect(isGenuine(parseRefreshToken(token)!, { ...third, generation: 9 })).toBe(true);
  });

  it('When it is of another session or key, then it is not genuine', () => {
    expect(isGenuine(parseRefreshToken(token)!, { ...third, session_id: OTHER_SID })).toBe(false);
    expect(isGenuine(parseRefreshToken(token)!, { ...third, key: KEY.replace('B', 'C') })).toBe(false);
  });

  it.each([
    ['another generation', `${SID}.4.${mac}`],
    ['another session', `${OTHER_SID}.3.${mac}`],
    ['another MAC', `${SID}.3.${'A'.repeat(43)}`],
    [
      'the same MAC in another spelling',
      token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1),
    ],
    ['a longer MAC', `${token}A`],
    ['no MAC', `${SID}.3.`],
    ['the generation in another spelling', `${SID}.03.${mac}`],
    ['the session in another spelling', `${SID.toUpperCase()}.3.${mac}`],
    ['something after a line break', `${token}\n`],
    ['nothing', ''],
  ])('When it has %s, then it is not genuine', (_case, text) => {
    expect(genuine(text)).toBe(false);
  });
});

describe('the list of revoked sessions', () => {
  /** The lifetime of a token, a request in progress, and twice a clock difference of an hour. */
  const MAX_REMAINING_SECONDS = 3600 + 120 + 2 * 3600;
  const until = revokedUntil(start, 3600);
  const session: Revocation = { session_id: SID, until };
  const user: Revocation = { user_id: 'u1', token_version: 2, except: SID, until };
  const list = addRevocations(NO_REVOCATIONS, [session, user], start);

  it('When sessions have ended, then it has them, without their expiry', () => {
    expect(activeRevocations(list, start)).toEqual({
      items: [{ session_id: SID }, { user_id: 'u1', token_version: 2, except: SID }],
      era: 0,
    });
    expect(lengthOf(list)).toBe(2);
  });

  it('When the access tokens have expired, then it omits the sessions, and the next write deletes them', () => {
    expect(activeRevocations(list, after(MAX_REMAINING_SECONDS)).items).toEqual([]);
    expect(activeRevocations(list, after(MAX_REMAINING_SECONDS - 1)).items).toHaveLength(2);
    const later: Revocation = { session_id: OTHER_SID, until: until + 3600 };
    expect(addRevocations(list, [later], after(MAX_REMAINING_SECONDS))).toEqual({
      sessions: { [OTHER_SID]: until + 3600 },
      users: {},
    });
  });

  it.each([
    ['a session again', session],
    ['an token_version again', user],
    ['an earlier token_version', { user_id: 'u1', token_version: 1, until: until + 1 }],
    ['an expired session', { session_id: OTHER_SID, until: start.getTime() / 1000 }],
  ])('When %s ends, then the list is unchanged', (_case, ending) => {
    expect(addRevocations(list, [ending], start)).toBe(list);
  });

  it('When a later token_version ends, then it replaces the earlier one and its exception', () => {
    const next = addRevocations(list, [{ user_id: 'u1', token_version: 3, until }], start);
    expect(activeRevocations(next, start).items).toEqual([
      { session_id: SID },
      { user_id: 'u1', token_version: 3 },
    ]);
  });

  it('When two epochs end in one write, then the later one counts, in either order', () => {
    const [two, three] = [user, { user_id: 'u1', token_version: 3, until }];
    for (const endings of [
      [two, three],
      [three, two],
    ])
      expect(activeRevocations(addRevocations(NO_REVOCATIONS, endings, start), start).items).toEqual([
        { user_id: 'u1', token_version: 3 },
      ]);
  });

  it('When it was full, then it is emptied, and the next era begins, which later writes keep', () => {
    const full = nextEra(list);
    expect(activeRevocations(full, start)).toEqual({ items: [], era: 1 });
    expect(activeRevocations(addRevocations(full, [session], start), start)).toEqual({
      items: [{ session_id: SID }],
      era: 1,
    });
    expect(nextEra(full).era).toBe(2);
  });
});
