import { describe, expect, it } from 'vitest';
import {
  changed,
  tokenVersionOf,
  erased,
  isErased,
  toUserEvent,
  toPublicUser,
  registered,
} from '../../services/users/domain/user.ts';

const ADA = registered(
  { user_id: 'u1', email: 'ada@example.com', name: 'Ada', role: 'customer', password_hash: 'hash' },
  't1',
);

describe('changed', () => {
  it.each([
    [{ name: 'Ada L.' }],
    [{ email: 'new@example.com' }, { previous_email: ADA.email }],
    [{ email: 'new@example.com', name: 'Ada L.' }, { previous_email: ADA.email }],
  ])(
    'When %j is changed, then that field and the version are new, with the notice %j',
    (changes, notice?: object) => {
      const next = { ...ADA, ...changes, version: 2, changed_at: 't2', ...(notice ? { notice } : {}) };
      expect(changed(ADA, changes, 't2')).toEqual(next);
    },
  );

  it.each([[{}], [{ name: undefined }], [{ name: 'Ada', email: 'ada@example.com', password_hash: 'hash' }]])(
    'When %j changes nothing, then the account is the same',
    (changes) => {
      expect(changed(ADA, changes, 't2')).toBe(ADA);
    },
  );
});

describe('sessions_ended', () => {
  it('When the password changes, then earlier sessions end, except the current one', () => {
    const first = changed(ADA, { password_hash: 'other' }, 't2', 's1');
    expect(first).toEqual({
      ...ADA,
      password_hash: 'other',
      version: 2,
      changed_at: 't2',
      sessions_ended: { token_version: 1, at: 't2', except: 's1' },
      notice: { password_changed: true },
    });
    const second = changed(first, { password_hash: 'third' }, 't3');
    expect(second.sessions_ended).toEqual({ token_version: 2, at: 't3' });
  });

  it('When something else changes, then the notice is removed', () => {
    const account = changed(ADA, { email: 'new@example.com', password_hash: 'other' }, 't2');
    expect(account.notice).toEqual({ previous_email: ADA.email, password_changed: true });
    expect(changed(account, { name: 'Ada L.' }, 't3')).not.toHaveProperty('notice');
  });

  it('When something else changes, then no session ends', () => {
    const account = changed(ADA, { password_hash: 'other' }, 't2', 's1');
    const renamed = changed(account, { name: 'Ada L.' }, 't3', 's2');
    expect(renamed.sessions_ended).toEqual(account.sessions_ended);
  });

  it('When sessions have never ended together, then the token version is 0', () => {
    expect([tokenVersionOf(ADA), tokenVersionOf(erased(ADA, 't2'))]).toEqual([0, 1]);
  });
});

describe('erased', () => {
  it('When an account is erased, then only its id, its token version and a higher version remain', () => {
    expect(erased(ADA, 't2')).toEqual({
      user_id: 'u1',
      erased: true,
      sessions_ended: { token_version: 1, at: 't2' },
      version: 2,
      changed_at: 't2',
    });
  });

  it('When an account is erased, then isErased recognises it', () => {
    expect([isErased(ADA), isErased(erased(ADA, 't2'))]).toEqual([false, true]);
  });
});

describe('toUserEvent', () => {
  const user = toPublicUser(ADA);
  it.each([
    ['the first version', ADA, { type: 'user.registered', data: { user, version: 1 } }],
    [
      'a later one',
      changed(ADA, { name: 'Ada L.' }, 't2'),
      { type: 'user.updated', data: { user: { ...user, name: 'Ada L.' }, version: 2 } },
    ],
    [
      'one with another password',
      changed(ADA, { password_hash: 'other' }, 't2'),
      { type: 'user.updated', data: { user, version: 2, password_changed: true } },
    ],
    ['an erased one', erased(ADA, 't2'), { type: 'user.deleted', data: { user_id: 'u1', version: 2 } }],
  ])('When it is %s, then the event says so, without the hash', (_case, document, message) => {
    expect(toUserEvent(document)).toEqual(message);
  });
});
