import type { Logger } from '../shared/telemetry/logger.ts';
import { ProblemError } from '../shared/http/problem.ts';
import type { Attempt, LoginThrottle } from './store/login-throttle-store.ts';
import type { Passwords } from './passwords.ts';
import type { Account } from './domain/user.ts';

/**
 * Checks a password, and counts failures. The check takes as long without an account.
 *
 * @throws ProblemError 429 while attempts are throttled
 */
export type CheckPassword = (
  attempt: Attempt,
  account: Account | undefined,
  password: string,
) => Promise<boolean>;

export function createPasswordCheck(deps: {
  passwords: Passwords;
  throttle: LoginThrottle;
  log: Logger;
}): CheckPassword {
  const { passwords, throttle, log } = deps;

  async function countFailure(attempt: Attempt, account: Account | undefined): Promise<void> {
    const seconds = await throttle.countFailure(attempt);
    if (seconds === 0 || !account) return;
    const fields = { audit: 'login-throttled', user_id: account.user_id, seconds };
    log.warn(fields, 'login throttled');
  }

  return async (attempt, account, password) => {
    // A throttled attempt must not block the others.
    await throttle.assertNotThrottled(attempt);
    return passwords.withHashingSlot(async (verify) => {
      // Concurrent attempts wait for a slot and then check the throttle again. So at most as many pass the limit as there
      // are slots.
      const hasFailed = await throttle.assertNotThrottled(attempt);
      const matches = await verify(account?.password_hash, password);
      if (!matches) await countFailure(attempt, account);
      else if (hasFailed) await throttle.reset(attempt);
      if (matches) await throttle.rememberNetwork(attempt);
      return matches;
    });
  };
}

/**
 * Requires the current password for a change of the address or the password, because the access token could be stolen.
 *
 * @throws ProblemError 422 without the current password, 403 for a wrong one; 429 as `CheckPassword` does
 */
export async function assertCurrentPassword(
  check: CheckPassword,
  account: Account,
  { currentPassword, network }: { currentPassword: string | undefined; network: string | undefined },
): Promise<void> {
  const field = 'current_password';
  if (currentPassword === undefined)
    throw new ProblemError(422, 'invalid-input', 'The body has invalid fields. See `errors`.', {
      errors: [{ field, message: 'is required to change the e-mail address or the password' }],
    });
  const { email, user_id: userId } = account;
  if (!(await check({ email, userId, network }, account, currentPassword)))
    throw new ProblemError(403, 'wrong-password', 'The current password is wrong.', {
      errors: [{ field, message: 'is not the password of this account' }],
    });
}
