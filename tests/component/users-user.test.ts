import { describe, expect, it } from 'vitest';
import { changed, erased, isErased, messageOf, publicUser, registered } from '../../services/users/user.ts';

const ADA = registered(
  { user_id: 'u1', email: 'ada@example.com', name: 'Ada', role: 'customer', password_hash: 'hash' },
  't1',
);

describe('changed', () => {
  it.each([
    [{ name: 'Ada L.' }],
    [{ email: 'new@example.com' }],
    [{ password_hash: 'other' }],
    [{ email: 'new@example.com', name: 'Ada L.', password_hash: 'other' }],
  ])('When %j is changed, then that and the version are new', (changes) => {
    expect(changed(ADA, changes, 't2')).toEqual({ ...ADA, ...changes, version: 2, changed_at: 't2' });
  });

  it.each([[{}], [{ name: undefined }], [{ name: 'Ada', email: 'ada@example.com', password_hash: 'hash' }]])(
    'When %j is no change, then it is the same account',
    (changes) => {
      expect(changed(ADA, changes, 't2')).toBe(ADA);
    },
  );
});

describe('erased', () => {
  it('When an account is erased, then only its id and a higher version stay', () => {
    expect(erased(ADA, 't2')).toEqual({ user_id: 'u1', erased: true, version: 2, changed_at: 't2' });
  });

  it('When it is asked whether it is erased, then the document tells', () => {
    expect([isErased(ADA), isErased(erased(ADA, 't2'))]).toEqual([false, true]);
  });
});

describe('messageOf', () => {
  const user = publicUser(ADA);
  it.each([
    ['the first version', ADA, { type: 'user.registered', data: { user, version: 1 } }],
    [
      'a later one',
      changed(ADA, { name: 'Ada L.' }, 't2'),
      { type: 'user.updated', data: { user: { ...user, name: 'Ada L.' }, version: 2 } },
    ],
    ['an erased one', erased(ADA, 't2'), { type: 'user.deleted', data: { user_id: 'u1', version: 2 } }],
  ])('When it is %s, then the message says so, without the hash', (_case, document, message) => {
    expect(messageOf(document)).toEqual(message);
  });
});
