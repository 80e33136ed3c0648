import pLimit from 'p-limit';
import { unavailable } from '../shared/http/problem.ts';
import { inSpan } from '../shared/telemetry/spans.ts';

export interface Passwords {
  hash: (password: string) => Promise<string>;
  /** Runs `attempt`, which may verify, in a free slot. The slot stays occupied until `attempt` ends. */
  withHashingSlot: <T>(attempt: (verify: Verify) => Promise<T>) => Promise<T>;
}

/** Verifies a password. Without a hash, it takes as long, so that the time does not reveal whether an account exists. */
export type Verify = (passwordHash: string | undefined, password: string) => Promise<boolean>;

/** The library is loaded with the first password, because it needs memory (services/decisions/0112-memory-at-rest.md). */
const argon2 = () => import('@node-rs/argon2');

/**
 * argon2id, the library's default, with the strength that OWASP recommends
 * (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). Memory is in KiB.
 */
const STRENGTH = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** The hash to verify against without an account: of `no account has this`, with the same strength. */
const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$12KAqlacjGidEfCY6lEBPw$a6J7KCkQhYGZ6mtjTFPUhVFgZi7bf1Notp8KPMBgOTs';

/** The maximum of concurrent hashes, each of which needs 19 MiB and a core. */
const MAX_CONCURRENT_HASHES = 2;
/** The maximum of waiting hashes, which is about two seconds of work. */
const MAX_WAITING_HASHES = 64;

/** @throws ProblemError 503 from both functions, if too many hashes are waiting */
export function createPasswords(strength = STRENGTH): Passwords {
  const limit = pLimit(MAX_CONCURRENT_HASHES);

  async function withSlot<T>(step: string, work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= MAX_WAITING_HASHES)
      throw unavailable('Too many logins are in progress. Try again later.');
    return inSpan(step, {}, () => limit(work));
  }

  const verifyNow: Verify = async (passwordHash, password) => {
    const { verify } = await argon2();
    const right = await verify(passwordHash ?? DECOY, password);
    return right && passwordHash !== undefined;
  };

  return {
    hash: (password) => withSlot('hash password', async () => (await argon2()).hash(password, strength)),
    withHashingSlot: (attempt) => withSlot('verify password', () => attempt(verifyNow)),
  };
}
