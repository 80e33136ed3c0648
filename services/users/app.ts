import type { Express } from 'express';
import { idempotency } from '../shared/idempotency.ts';
import { unavailable } from '../shared/problem.ts';
import { untilDone } from '../shared/run.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { accounts as createAccounts } from './accounts.ts';
import { users as description } from './api.ts';
import { createCounters } from './counters.ts';
import { logInWith } from './log-in.ts';
import { loginThrottle } from './store/login-throttle-store.ts';
import { passwordCheck } from './password-check.ts';
import type { Passwords } from './passwords.ts';
import { routes } from './routes.ts';
import { sessionStore } from './store/session-store.ts';
import { sessions as createSessions } from './sessions.ts';
import { signingKeys } from './store/signing-keys.ts';
import { tokenIssuer } from './tokens.ts';
import { userJob } from './user-job.ts';
import { userStore } from './store/user-store.ts';

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

/** Creates the users service. It answers 503 until the signing key and the first administrator are saved. */
export function createApp(deps: UsersDeps): Express {
  const { log, sidecar, metrics, admin, now, passwords, tokenTtlSeconds } = deps;
  const { state } = sidecar;
  const counters = createCounters(metrics);
  const store = userStore(state);
  const keys = signingKeys({ ...deps, state, rotationSeconds: deps.keyRotationSeconds });
  const tokens = tokenIssuer({ keys, now, ttlSeconds: tokenTtlSeconds });
  const endable = sessionStore({ state, log, now, tokenTtlSeconds });
  const sessions = createSessions({ ...deps, store: endable, users: store, tokens, counters });
  const throttle = loginThrottle({ state, now });
  const check = passwordCheck({ passwords, throttle, log });
  const job = userJob({ store, endable, sidecar, log });
  const accounts = createAccounts({ ...deps, store, job, sessions, check, throttle, counters });
  const logIn = logInWith({ store, sessions: endable, check });
  const once = idempotency({ state, log });
  let isReady = false;

  void untilDone('creating the signing key and the first administrator', log, async () => {
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
      routes({ accounts, store, sessions, ended: endable.ended, tokens, logIn, job, once, counters }),
    ],
  });
}
