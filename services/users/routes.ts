import { Router, type Request } from 'express';
import { Counter, type Registry } from 'prom-client';
import { z } from 'zod';
import { addRequestFields } from '../shared/context.ts';
import { callerOf, mayRead, requireAdmin } from '../shared/identity.ts';
import { pageQuery } from '../shared/paged-index.ts';
import { notFound } from '../shared/problem.ts';
import { id as userIdSchema, timestamp } from '../shared/types.ts';
import { parseBody, parseQuery } from '../shared/validate.ts';
import type { Accounts } from './accounts.ts';
import { loginBody, putUserBody, registerBody } from './contract.ts';
import type { Tokens } from './tokens.ts';
import { publicUser } from './user.ts';
import type { UserStore } from './user-store.ts';

/** A job's name and data: whose version it is about, and when it was set. */
const jobOfUser = z.object({ id: userIdSchema, version: z.coerce.number().int(), since: timestamp });

export function routes(deps: {
  accounts: Accounts;
  store: UserStore;
  tokens: () => Tokens;
  metrics: Registry;
}): Router {
  const { accounts, store, tokens, metrics } = deps;
  const registrations = new Counter({
    name: 'users_registered_total',
    help: 'Accounts that were made through the API',
    registers: [metrics],
  });
  const logins = new Counter({
    name: 'users_logins_total',
    help: 'Access tokens that were given out',
    registers: [metrics],
  });
  const router = Router();

  router.get('/.well-known/jwks.json', (_req, res) => {
    res.set('cache-control', 'public, max-age=60').json(tokens().jwks);
  });

  router.post('/api/users/register', async (req, res) => {
    const user = await accounts.register({ ...parseBody(registerBody, req.body), role: 'customer' });
    registrations.inc();
    res.status(201).location(`/api/users/${user.user_id}`).json(user);
  });

  router.post('/api/users/login', async (req, res) => {
    const user = await accounts.logIn(parseBody(loginBody, req.body));
    const { issue, expiresIn } = tokens();
    const accessToken = await issue(user);
    logins.inc();
    res
      .set('cache-control', 'no-store')
      .json({ access_token: accessToken, token_type: 'Bearer', expires_in: expiresIn });
  });

  router.get('/api/users', async (req, res) => {
    requireAdmin(req);
    const { cursor, limit } = parseQuery(pageQuery, req.query);
    const { accounts: found, nextCursor } = await store.list(cursor, limit);
    res.set('cache-control', 'no-store').json({ items: found.map(publicUser), next_cursor: nextCursor });
  });

  router
    .route('/api/users/:id')
    .get(async (req, res) => {
      res.set('cache-control', 'no-store').json(await accounts.find(userIdFor(req)));
    })
    .put(async (req, res) => {
      const userId = userIdFor(req);
      res.json(await accounts.change(userId, parseBody(putUserBody, req.body)));
    })
    .delete(async (req, res) => {
      await accounts.erase(userIdFor(req));
      res.status(204).end();
    });

  router.post('/job/user-:id-:version', async (req, res) => {
    const { id, version, since } = jobOfUser.parse({ ...req.params, ...(req.body as object) });
    await accounts.sayAgain(id, version, since);
    res.json({});
  });

  return router;
}

/** @throws Problem 401; 404 where there can be no such user, or it is not the caller's to see */
function userIdFor(req: Request<{ id: string }>): string {
  const caller = callerOf(req);
  const parsed = userIdSchema.toLowerCase().safeParse(req.params.id);
  if (!parsed.success || !mayRead(caller, parsed.data)) throw notFound('user');
  addRequestFields({ user_id: parsed.data });
  return parsed.data;
}
