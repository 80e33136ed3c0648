import { describe, expect, it } from 'vitest';
import { isNewKeyDue, signerAt, withoutRetired } from '../../services/users/domain/signing-key.ts';

const start = new Date('2026-03-01T00:00:00.000Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const key = (kid: string, seconds: number) => ({
  jwk: { kty: 'EC', kid },
  signs_from: after(seconds).toISOString(),
});
const kids = (keys: readonly { jwk: { kid?: string } }[]) => keys.map(({ jwk }) => jwk.kid);
const [a, b, c] = [key('a', 0), key('b', 1000), key('c', 2000)];

describe('signing keys', () => {
  it.each([
    ['there is none', [], 0, true],
    ['the newest is young', [a, b], 1999, false],
    ['the newest is old', [a, b], 2000, true],
    ['the newest has not had its turn', [a, b], 900, false],
    ['the newest was made by a clock that is an hour ahead', [a, key('d', 3_720)], 0, false],
    ['the newest was made by a clock that was wrong', [a, key('d', 3_721)], 0, true],
  ])('When %s, then a new key is due or not as the table has it', (_case, keys, seconds, due) => {
    expect(isNewKeyDue(keys, after(seconds), 1000)).toBe(due);
  });

  it.each([
    [999, 'a'],
    [1000, 'b'],
    [1999, 'b'],
    [2000, 'c'],
    [-1, 'a'],
  ])('When it is second %i, then %s signs', (seconds, kid) => {
    expect(signerAt([a, b, c], after(seconds)).jwk.kid).toBe(kid);
  });

  it('When there is no key, then none signs', () => {
    expect(() => signerAt([], start)).toThrow('no signing key');
  });

  it.each([
    [1090 + 7200, ['a', 'b', 'c']],
    [1091 + 7200, ['b', 'c']],
    [2091 + 7200, ['c']],
    [99_999, ['c']],
  ])('When it is second %i and tokens last sixty, then %j remain', (seconds, left) => {
    expect(kids(withoutRetired([a, b, c], after(seconds), 60))).toEqual(left);
  });
});
