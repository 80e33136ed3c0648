import { Router, type Request } from 'express';
import { callerOf, mayRead, requireAdmin } from '../shared/identity.ts';
import type { Logger } from '../shared/log.ts';
import { notFound, Problem } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { inSpan } from '../shared/tracing.ts';
import { id as customerIdSchema } from '../shared/types.ts';
import { parseQuery } from '../shared/validate.ts';
import { deadLetterListQuery, orderListQuery, type DeadLetter } from './contract.ts';
import type { DeadLetterStore } from './dead-letter-store.ts';
import { deadLetterId, redrivable, shown } from './dead-letter.ts';
import type { ReadModelStore } from './read-model-store.ts';

export function routes(deps: {
  log: Logger;
  sidecar: Sidecar;
  readModel: ReadModelStore;
  deadLetters: DeadLetterStore;
}): Router {
  const { log, sidecar, readModel, deadLetters } = deps;
  const router = Router();

  router.get('/api/orders', async (req, res) => {
    const caller = callerOf(req);
    const { customer_id, status, cursor, limit } = parseQuery(orderListQuery, req.query);
    const customerId = customer_id ?? (caller.role === 'admin' ? undefined : caller.id);
    // A list is never a 404: that of another customer is empty, as that of one who does not exist.
    const { items, nextCursor } =
      customerId === undefined || mayRead(caller, customerId)
        ? await readModel.list({ customerId, status, cursor, limit })
        : { items: [], nextCursor: null };
    if (nextCursor) res.set('link', `<${addressOfNext(req, nextCursor)}>; rel="next"`);
    res.set('cache-control', 'no-store').json({ items, next_cursor: nextCursor });
  });

  router.get('/api/customers/:customer_id/totals', async (req, res) => {
    const caller = callerOf(req);
    const { customer_id } = req.params;
    if (!customerIdSchema.safeParse(customer_id).success || !mayRead(caller, customer_id))
      throw notFound('customer');
    res.set('cache-control', 'no-store').json(await readModel.totals(customer_id));
  });

  router.get('/api/admin/dead-letters', async (req, res) => {
    requireAdmin(req);
    const { cursor, limit } = parseQuery(deadLetterListQuery, req.query);
    const { items, nextCursor } = await deadLetters.list(cursor, limit);
    res.set('cache-control', 'no-store').json({ items: items.map(shown), next_cursor: nextCursor });
  });

  router.get('/api/admin/dead-letters/:id', async (req, res) => {
    requireAdmin(req);
    res.set('cache-control', 'no-store').json(shown(await load(req.params.id)));
  });

  router.post('/api/admin/dead-letters/:id/redrive', async (req, res) => {
    const { id: admin } = requireAdmin(req);
    const letter = await load(req.params.id);
    const event = redrivable(letter);
    if (!event) throw new Problem(409, 'not-redrivable', 'This message is not an event of a known type.');
    const { dead_letter_id, type, event_id } = letter;
    await inSpan('redrive dead letter', { dead_letter_id, type }, () => sidecar.publish(event));
    log.info({ audit: 'redrive', caller_id: admin, dead_letter_id, type, event_id }, 'dead letter redriven');
    res.status(202).json(shown((await deadLetters.countRedrive(dead_letter_id)) ?? letter));
  });

  async function load(id: string): Promise<DeadLetter> {
    const letter = deadLetterId.safeParse(id).success ? await deadLetters.load(id) : undefined;
    if (!letter) throw notFound('dead letter');
    return letter;
  }

  return router;
}

/** This request's own address with another cursor. */
function addressOfNext(req: Request, cursor: string): string {
  const query = new URLSearchParams(req.query as Record<string, string>);
  query.set('cursor', cursor);
  return `${req.path}?${query.toString()}`;
}
