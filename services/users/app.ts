import type { Express } from 'express';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { unavailable } from '../shared/http/problem.ts';
import { retryUntilSuccess } from '../shared/util/retry.ts';
import { createSweeper } from '../shared/dapr/sweeper.ts';
import { createWorkList } from '../shared/dapr/work-list.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { createAccounts } from './accounts.ts';
import { users as description } from './api.ts';
import { createCounters } from './metrics.ts';
import { createLogIn } from './log-in.ts';
import { createLoginThrottle } from './store/login-throttle-store.ts';
import { createPasswordCheck } from './password-check.ts';
import type { Passwords } from './passwords.ts';
import { createRoutes } from './routes.ts';
import { createSessionStore } from './store/session-store.ts';
import { createSessions } from './sessions.ts';
import { createSigningKeys } from './store/signing-keys.ts';
import { createTokenIssuer } from './tokens.ts';
import { createUserChanges } from './user-changes.ts';
import { createUserStore } from './store/user-store.ts';

export interface UsersDeps extends ServiceDeps {
  tokenTtlSeconds: number;
  refreshTtlSeconds: number;
  keyRotationSeconds: number;
  /** The credentials of the first administrator. */
  admin?: { email: string; password: string } | undefined;
  passwords: Passwords;
  now: () => Date;
  /** Monotonic milliseconds, for ages that must not depend on clock changes. */
  clock: () => number;
}

/** How often the service looks for changes that were not completed. */
const SWEEP_INTERVAL_MS = 5_000;

/** Creates the users service. It answers 503 until the signing key and the first administrator are saved. */
export function createApp(deps: UsersDeps): Express {
  const { log, sidecar, metrics, admin, now, passwords, tokenTtlSeconds } = deps;
  const { state } = sidecar;
  const counters = createCounters(metrics);
  const store = createUserStore(state);
  const keys = createSigningKeys({ ...deps, state, rotationSeconds: deps.keyRotationSeconds });
  const tokens = createTokenIssuer({ keys, now, ttlSeconds: tokenTtlSeconds });
  const sessionStore = createSessionStore({ state, log, now, tokenTtlSeconds });
  const sessions = createSessions({ ...deps, store: sessionStore, users: store, tokens, counters });
  const throttle = createLoginThrottle({ state, now });
  const check = createPasswordCheck({ passwords, throttle, log });
  const watched = createWorkList(state, now);
  const userChanges = createUserChanges({ store, sessionStore, watched, sidecar, log });
  const accounts = createAccounts({ ...deps, store, userChanges, sessions, check, throttle, counters });
  const logIn = createLogIn({ store, sessions: sessionStore, check });
  const withIdempotency = createIdempotency({ state, log });
  let isReady = false;

  void retryUntilSuccess('creating the signing key and the first administrator', log, async () => {
    await keys();
    if (admin) await accounts.ensureAdmin(admin);
    isReady = true;
  });

  return createService(deps, {
    description,
    isReady: () => isReady,
    routers: [
      (_req, _res, next) => {
        if (!isReady) throw unavailable('The service is starting. Try again later.');
        next();
      },
      createRoutes({
        accounts,
        store,
        sessions,
        revocations: sessionStore.revocations,
        tokens,
        logIn,
        withIdempotency,
        counters,
      }),
      createSweeper({ ...deps, list: watched, everyMs: SWEEP_INTERVAL_MS, look: userChanges.look }),
    ],
  });
}
