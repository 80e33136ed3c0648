import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { demandMatch, versionTag } from '../shared/conditional.ts';
import { addRequestFields } from '../shared/context.ts';
import type { Once } from '../shared/idempotency.ts';
import { callerOf, mayRead, networkOf, requireAdmin, type Caller } from '../shared/identity.ts';
import { pageQuery, sendPage } from '../shared/paged-index.ts';
import { notFound } from '../shared/problem.ts';
import { id as userIdSchema, inDigits } from '../shared/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/validate.ts';
import type { Accounts } from './accounts.ts';
import {
  loginBody,
  logoutBody,
  putUserBody,
  refreshBody,
  registerBody,
  type TokenAnswer,
} from './contract.ts';
import type { Counters } from './counters.ts';
import type { LogIn } from './log-in.ts';
import type { SessionStore } from './store/session-store.ts';
import type { Sessions } from './sessions.ts';
import type { Tokens } from './tokens.ts';
import { publicUser, type Account } from './domain/user.ts';
import type { UserJob } from './user-job.ts';
import type { UserStore } from './store/user-store.ts';

/** The name and data of a job: the version that it checks, and the number of its runs. */
const jobOfUser = z.object({
  id: userIdSchema,
  version: inDigits(z.int()),
  looks: inDigits(z.int().min(0)).prefault(0),
});

export function routes(deps: {
  accounts: Accounts;
  store: UserStore;
  sessions: Sessions;
  ended: SessionStore['ended'];
  tokens: Tokens;
  logIn: LogIn;
  job: Pick<UserJob, 'look'>;
  once: Once;
  counters: Counters;
}): Router {
  const { accounts, store, sessions, ended, tokens, logIn, job, once, counters } = deps;
  const router = Router();

  router.get('/.well-known/jwks.json', async (_req, res) => {
    const jwks = await tokens.jwks();
    res.set('cache-control', 'public, max-age=60').json(jwks);
  });

  router.post('/api/users/register', async (req, res) => {
    const details = parseBody(registerBody, req.body);
    await once(req, res, { what: 'register', request: details }, async (operation, mayBeRepeated) => {
      const account = await accounts.register(
        { ...details, role: 'customer', network: networkOf(req) },
        mayBeRepeated ? operation : undefined,
      );
      counters.registrations.inc();
      const location = `/api/users/${account.user_id}`;
      return { status: 201, headers: { location }, body: publicUser(account) };
    });
  });

  router.post('/api/users/login', async (req, res) => {
    const { account, era } = await logIn({ ...parseBody(loginBody, req.body), network: networkOf(req) });
    addRequestFields({ user_id: account.user_id });
    const answer = await sessions.begin(account, era);
    counters.logins.inc();
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

  router.get('/sessions/ended', async (_req, res) => {
    const told = await ended();
    res.set('cache-control', 'no-store').json(told);
  });

  router.get('/api/users', async (req, res) => {
    requireAdmin(req);
    const { cursor, limit } = parseQuery(pageQuery, req.query);
    const { accounts: found, nextCursor } = await store.list(cursor, limit);
    sendPage(req, res, { items: found.map(publicUser), nextCursor });
  });

  router
    .route('/api/users/:id')
    .get(async (req, res) => {
      const { userId } = asked(req);
      sendAccount(res, await accounts.find(userId));
    })
    .put(async (req, res) => {
      const { userId, caller } = asked(req);
      const { current_password: currentPassword, ...changes } = parseBody(putUserBody, req.body);
      const isOwner = caller.id === userId;
      const account = await accounts.change(userId, changes, {
        // The session of an administrator does not belong to this account.
        session: isOwner ? caller.session : undefined,
        owner: isOwner ? { currentPassword, network: networkOf(req) } : undefined,
        demand: ({ version }) => demandMatch(req, versionTag(version)),
      });
      sendAccount(res, account);
    })
    .delete(async (req, res) => {
      await accounts.erase(asked(req).userId);
      res.status(204).end();
    });

  router.post('/job/user-:id-:version', async (req, res) => {
    const { id, version, looks } = jobOfUser.parse({ ...req.params, ...(req.body as object) });
    await job.look(id, version, looks);
    res.json({});
  });

  return router;
}

/** The headers that RFC 6749, 5.1 requires. */
function sendTokens(res: Response, answer: TokenAnswer): void {
  res.set('cache-control', 'no-store').json(answer);
}

function sendAccount(res: Response, account: Account): void {
  res.set({ 'cache-control': 'no-store', etag: versionTag(account.version) }).json(publicUser(account));
}

/** @throws Problem 401; 404 if the user cannot exist, or the caller may not read it */
function asked(req: Request<{ id: string }>): { userId: string; caller: Caller } {
  const caller = callerOf(req);
  const userId = parsePath(userIdSchema, req.params.id, 'user');
  if (!mayRead(caller, userId)) throw notFound('user');
  addRequestFields({ user_id: userId });
  return { userId, caller };
}
