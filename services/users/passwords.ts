import pLimit from 'p-limit';
import { unavailable } from '../shared/problem.ts';
import { inSpan } from '../shared/tracing.ts';

export interface Passwords {
  hash: (password: string) => Promise<string>;
  /** Runs `attempt`, which may verify, when its turn comes; the turn is over when all of it is done. */
  inTurn: <T>(attempt: (verify: Verify) => Promise<T>) => Promise<T>;
}

/** Takes as long where there is no hash to compare with, so that time does not tell whether there is one. */
export type Verify = (passwordHash: string | undefined, password: string) => Promise<boolean>;

/** Loaded with the first password: it takes 5 MB (services/decisions/0112-memory-at-rest.md). */
const argon2 = () => import('@node-rs/argon2');

/**
 * argon2id, the default algorithm of the library, at the strength that OWASP asks for
 * (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). Memory in KiB.
 */
const STRENGTH = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** What is compared with where there is no hash: of `no account has this`, at the same strength. */
const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$12KAqlacjGidEfCY6lEBPw$a6J7KCkQhYGZ6mtjTFPUhVFgZi7bf1Notp8KPMBgOTs';

/** Each hash holds 19 MiB and a core while it is made. */
const AT_ONCE = 2;
/** Some two seconds of work; who comes later had better try again. */
const MAX_WAITING = 64;

/** @throws Problem 503, from both functions, where too many wait already */
export function createPasswords(strength = STRENGTH): Passwords {
  const limit = pLimit(AT_ONCE);

  async function inTurn<T>(step: string, work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= MAX_WAITING)
      throw unavailable('Too many logins are in progress. Try again later.');
    return inSpan(step, {}, () => limit(work));
  }

  const verifyNow: Verify = async (passwordHash, password) => {
    const { verify } = await argon2();
    const right = await verify(passwordHash ?? DECOY, password);
    return right && passwordHash !== undefined;
  };

  return {
    hash: (password) => inTurn('hash password', async () => (await argon2()).hash(password, strength)),
    inTurn: (attempt) => inTurn('verify password', () => attempt(verifyNow)),
  };
}
