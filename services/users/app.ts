import type { Express } from 'express';
import { unavailable } from '../shared/problem.ts';
import { untilDone } from '../shared/run.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { accounts as createAccounts } from './accounts.ts';
import { passwords } from './passwords.ts';
import { routes } from './routes.ts';
import { signingKeys, tokenIssuer, type Tokens } from './tokens.ts';
import { userStore } from './user-store.ts';

export interface UsersDeps extends ServiceDeps {
  tokenTtlSeconds: number;
  /** The first administrator. */
  admin?: { email: string; password: string } | undefined;
}

/** The service answers 503 until its signing key and its first administrator are in the store. */
export function createApp(deps: UsersDeps): Express {
  const { log, sidecar, metrics, admin } = deps;
  const store = userStore(sidecar.state);
  const accounts = createAccounts({ store, passwords: passwords(), sidecar, log });
  let tokens: Tokens | undefined;

  void untilDone('signing key and first administrator', log, async () => {
    const keys = await signingKeys(sidecar.state);
    if (admin) await accounts.ensureAdmin(admin);
    tokens = await tokenIssuer(keys, deps.tokenTtlSeconds);
  });

  function tokensOnceReady(): Tokens {
    if (!tokens) throw unavailable('The service is starting. Please try again.');
    return tokens;
  }

  return createService(deps, {
    isReady: () => tokens !== undefined,
    routers: [
      (_req, _res, next) => {
        tokensOnceReady();
        next();
      },
      routes({ accounts, store, tokens: tokensOnceReady, metrics }),
    ],
  });
}
