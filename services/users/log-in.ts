import { NIL } from 'uuid';
import { Problem } from '../shared/problem.ts';
import type { CheckPassword } from './password-check.ts';
import type { UserStore } from './user-store.ts';
import { isErased, type Account } from './user.ts';

/**
 * The account that these credentials open.
 *
 * @throws Problem 401, the same for an unknown address and a wrong password, after the same time; 429, the same for both,
 *   while attempts at the address have to wait
 */
export type LogIn = (credentials: {
  email: string;
  password: string;
  network: string | undefined;
}) => Promise<Account>;

const wrongCredentials = () =>
  new Problem(401, 'wrong-credentials', 'The e-mail address or the password is wrong.');

export function logInWith({ store, check }: { store: UserStore; check: CheckPassword }): LogIn {
  return async ({ email, password, network }) => {
    // An unknown address costs the same reads and the same hash as a known one.
    const userId = (await store.ownerOf(email)) ?? NIL;
    const found = (await store.load(userId))?.value;
    const account = found && !isErased(found) ? found : undefined;
    const right = await check({ email, userId, network }, account, password);
    if (!account || !right) throw wrongCredentials();
    return account;
  };
}
