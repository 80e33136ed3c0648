import { NIL } from 'uuid';
import { ProblemError } from '../shared/http/problem.ts';
import type { CheckPassword } from './password-check.ts';
import type { SessionStore } from './store/session-store.ts';
import type { UserStore } from './store/user-store.ts';
import { isErased, type Account } from './domain/user.ts';

/**
 * Returns the account of these credentials, and the era of its tokens.
 *
 * @throws ProblemError 401, equal in content and time for an unknown address and a wrong password; 429, equal for both, while
 *   the address is throttled
 */
export type LogIn = (credentials: {
  email: string;
  password: string;
  network: string | undefined;
}) => Promise<{ account: Account; era: number }>;

const wrongCredentials = () =>
  new ProblemError(401, 'wrong-credentials', 'The e-mail address or the password is wrong.');

export function createLogIn({
  store,
  sessions,
  check,
}: {
  store: UserStore;
  sessions: Pick<SessionStore, 'era'>;
  check: CheckPassword;
}): LogIn {
  return async ({ email, password, network }) => {
    // An unknown address costs the same reads and the same hash as a known address. The reads run one after another,
    // because a bulk read would be repeated for a document that does not exist.
    const era = await sessions.era();
    const userId = (await store.ownerOf(email)) ?? NIL;
    const found = (await store.load(userId))?.value;
    const account = found && !isErased(found) ? found : undefined;
    const right = await check({ email, userId, network }, account, password);
    if (!account || !right) throw wrongCredentials();
    return { account, era };
  };
}
