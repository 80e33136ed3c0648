import { NIL } from 'uuid';
import type { Logger } from '../shared/log.ts';
import { Problem } from '../shared/problem.ts';
import type { LoginThrottle } from './login-throttle-store.ts';
import type { Passwords } from './passwords.ts';
import type { UserStore } from './user-store.ts';
import { isErased, type Account } from './user.ts';

/**
 * The account that these credentials open.
 *
 * @throws Problem 401, the same for an unknown address and a wrong password, after the same time; 429, the same for both,
 *   while attempts at the address have to wait
 */
export type LogIn = (credentials: { email: string; password: string }) => Promise<Account>;

const wrongCredentials = () =>
  new Problem(401, 'wrong-credentials', 'The e-mail address or the password is wrong.');

export function logInWith(deps: {
  store: UserStore;
  passwords: Passwords;
  throttle: LoginThrottle;
  log: Logger;
}): LogIn {
  const { store, passwords, throttle, log } = deps;

  async function countFailure(email: string, account: Account | undefined): Promise<void> {
    const seconds = await throttle.countFailure(email);
    if (seconds === 0 || !account) return;
    const fields = { audit: 'login-throttled', user_id: account.user_id, seconds };
    log.warn(fields, 'logging in has failed so often that the next attempt has to wait');
  }

  return async ({ email, password }) => {
    // Nobody who has to wait anyway may keep others from a turn.
    await throttle.demandOpen(email);
    // An unknown address costs the same reads and the same hash as a known one.
    const owner = (await store.ownerOf(email)) ?? NIL;
    const found = (await store.load(owner))?.value;
    const account = found && !isErased(found) ? found : undefined;
    const right = await passwords.inTurn(async (verify) => {
      // Attempts that came together have waited for their turns, in which each sees the failures of those before it: no
      // more of them get past the limit than there are turns at once.
      const hasFailed = await throttle.demandOpen(email);
      const matches = await verify(account?.password_hash, password);
      if (!matches) await countFailure(email, account);
      else if (hasFailed) await throttle.forget(email);
      return matches;
    });
    if (!account || !right) throw wrongCredentials();
    return account;
  };
}
