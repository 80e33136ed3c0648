import { beforeAll, describe, expect, it } from 'vitest';
import { createPasswords, type Passwords } from '../../services/users/passwords.ts';

describe('passwords', () => {
  let own: Passwords;
  let hash: string;
  beforeAll(async () => {
    own = createPasswords();
    hash = await own.hash('correct horse');
  });

  it('When a password is hashed, then by argon2id at the strength that OWASP recommends', () => {
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('When the same password is hashed again, then the hash differs', async () => {
    expect(await own.hash('correct horse')).not.toBe(hash);
  });

  it.each([
    ['the right password', () => hash, 'correct horse', true],
    ['a wrong password', () => hash, 'Correct horse', false],
    ['no hash', () => undefined, 'correct horse', false],
    ['no hash, but the password of the decoy', () => undefined, 'no account has this', false],
  ])('When it is %s, then %s', async (_case, stored: () => string | undefined, password, right) => {
    expect(await own.withHashingSlot((verify) => verify(stored(), password))).toBe(right);
  });

  it('When too many wait, then the next ones are rejected at once and the others succeed', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 80 }, () => own.withHashingSlot((verify) => verify(hash, 'correct horse'))),
    );
    const rejected = results.filter((result) => result.status === 'rejected');
    expect(rejected.length).toBeGreaterThanOrEqual(10);
    expect(rejected.length).toBeLessThan(20);
    expect(new Set(rejected.map(({ reason }) => (reason as { status: number }).status))).toEqual(
      new Set([503]),
    );
  });
});
