import { Router, type Request, type Response } from 'express';
import { assertPreconditions, versionTag } from '../shared/http/preconditions.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { callerOf, canRead, networkOf, requireAdmin, type Caller } from '../shared/http/caller.ts';
import { pageQuery } from '../shared/schemas/page-query.ts';
import { sendPage } from '../shared/http/pagination.ts';
import { notFound } from '../shared/http/problem.ts';
import { id as userIdSchema } from '../shared/schemas/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import type { Accounts } from './accounts.ts';
import {
  loginBody,
  logoutBody,
  putUserBody,
  refreshBody,
  registerBody,
  type TokenAnswer,
} from './contract.ts';
import type { Counters } from './metrics.ts';
import type { LogIn } from './log-in.ts';
import type { SessionStore } from './store/session-store.ts';
import type { Sessions } from './sessions.ts';
import type { TokenIssuer } from './tokens.ts';
import { toPublicUser, type Account } from './domain/user.ts';
import type { UserStore } from './store/user-store.ts';

export function createRoutes(deps: {
  accounts: Accounts;
  store: UserStore;
  sessions: Sessions;
  revocations: SessionStore['revocations'];
  tokens: TokenIssuer;
  logIn: LogIn;
  withIdempotency: WithIdempotency;
  counters: Counters;
}): Router {
  const { accounts, store, sessions, revocations, tokens, logIn, withIdempotency, counters } = deps;
  const router = Router();

  router.get('/.well-known/jwks.json', async (_req, res) => {
    const jwks = await tokens.jwks();
    res.set('cache-control', 'public, max-age=60').json(jwks);
  });

  router.post('/api/users/register', async (req, res) => {
    const details = parseBody(registerBody, req.body);
    await withIdempotency(
      req,
      res,
      { name: 'register', request: details },
      async (operation, hasIdempotencyKey) => {
        const account = await accounts.register(
          { ...details, role: 'customer', network: networkOf(req) },
          hasIdempotencyKey ? operation : undefined,
        );
        counters.registrations.inc({});
        const location = `/api/users/${account.user_id}`;
        return { status: 201, headers: { location }, body: toPublicUser(account) };
      },
    );
  });

  router.post('/api/users/login', async (req, res) => {
    const { account, era } = await logIn({ ...parseBody(loginBody, req.body), network: networkOf(req) });
    addRequestFields({ user_id: account.user_id });
    const answer = await sessions.begin(account, era);
    counters.logins.inc({});
    sendTokens(res, answer);
  });

  router.post('/api/users/token', async (req, res) => {
    const { refresh_token: refreshToken } = parseBody(refreshBody, req.body);
    sendTokens(res, await sessions.refresh(refreshToken));
  });

  router.post('/api/users/logout', async (req, res) => {
    const caller = callerOf(req);
    const { refresh_token: refreshToken } = parseBody(logoutBody, req.body);
    await sessions.logOut(caller, refreshToken);
    res.status(204).set('cache-control', 'no-store').end();
  });

  router.get('/sessions/revoked', async (_req, res) => {
    const revoked = await revocations();
    res.set('cache-control', 'no-store').json(revoked);
  });

  router.get('/api/users', async (req, res) => {
    requireAdmin(req);
    const { cursor, limit } = parseQuery(pageQuery, req.query);
    const { accounts: found, nextCursor } = await store.list(cursor, limit);
    sendPage(req, res, { items: found.map(toPublicUser), nextCursor });
  });

  router
    .route('/api/users/:id')
    .get(async (req, res) => {
      const { userId } = visibleUser(req);
      sendAccount(res, await accounts.find(userId));
    })
    .put(async (req, res) => {
      const { userId, caller } = visibleUser(req);
      const { current_password: currentPassword, ...changes } = parseBody(putUserBody, req.body);
      const isOwner = caller.id === userId;
      const account = await accounts.update(userId, changes, {
        // The session of an administrator does not belong to this account.
        session: isOwner ? caller.session : undefined,
        owner: isOwner ? { currentPassword, network: networkOf(req) } : undefined,
        precondition: ({ version }) => assertPreconditions(req, versionTag(version)),
      });
      sendAccount(res, account);
    })
    .delete(async (req, res) => {
      await accounts.delete(visibleUser(req).userId);
      res.status(204).end();
    });

  return router;
}

/** The headers that RFC 6749, 5.1 requires. */
function sendTokens(res: Response, answer: TokenAnswer): void {
  res.set('cache-control', 'no-store').json(answer);
}

function sendAccount(res: Response, account: Account): void {
  res.set({ 'cache-control': 'no-store', etag: versionTag(account.version) }).json(toPublicUser(account));
}

/** @throws ProblemError 401; 404 if the user cannot exist, or the caller may not read it */
function visibleUser(req: Request<{ id: string }>): { userId: string; caller: Caller } {
  const caller = callerOf(req);
  const userId = parsePath(userIdSchema, req.params.id, 'user');
  if (!canRead(caller, userId)) throw notFound('user');
  addRequestFields({ user_id: userId });
  return { userId, caller };
}
