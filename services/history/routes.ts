import { Router } from 'express';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { callerOf, canRead, requireAdmin } from '../shared/http/caller.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { sendPage } from '../shared/http/pagination.ts';
import { notFound, ProblemError } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { id as customerIdSchema, noBody } from '../shared/schemas/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import {
  adminOrderListQuery,
  deadLetterId,
  deadLetterListQuery,
  orderListQuery,
  type DeadLetter,
} from './contract.ts';
import type { DeadLetterStore } from './store/dead-letter-store.ts';
import { redrivable, redacted } from './domain/dead-letter.ts';
import { ERASURE_JOB_PREFIX, type ReasonErasure } from './reason-erasure.ts';
import type { ReadModelStore } from './store/read-model-store.ts';
import { REBUILD_JOB, type HistoryRebuild } from './history-rebuild.ts';
import { pageOfStuckOrders } from './domain/stuck-orders.ts';

export function createRoutes(deps: {
  log: Logger;
  sidecar: Sidecar;
  readModel: ReadModelStore;
  deadLetters: DeadLetterStore;
  rebuild: HistoryRebuild;
  erasure: ReasonErasure;
  withIdempotency: WithIdempotency;
  now: () => Date;
}): Router {
  const { log, sidecar, readModel, deadLetters, rebuild, erasure, withIdempotency, now } = deps;
  const router = Router();

  router.get('/api/orders', async (req, res) => {
    const caller = callerOf(req);
    const { customer_id, status, cursor, limit } = parseQuery(orderListQuery, req.query);
    const customerId = customer_id ?? (caller.role === 'admin' ? undefined : caller.id);
    // A list never answers 404. The list of another or unknown customer is empty.
    const { items, nextCursor } =
      customerId === undefined || canRead(caller, customerId)
        ? await readModel.list({ customerId, status, cursor, limit })
        : { items: [], nextCursor: null };
    sendPage(req, res, { items, nextCursor });
  });

  router.get('/api/admin/orders', async (req, res) => {
    const { id: caller_id } = requireAdmin(req);
    const { stuck, idle_seconds, ...query } = parseQuery(adminOrderListQuery, req.query);
    const { customer_id: customerId, status, cursor, limit } = query;
    if (stuck === 'false')
      return sendPage(req, res, await readModel.list({ customerId, status, cursor, limit }));
    const open = (await readModel.open()).filter(
      (order) =>
        order.customer_id === (customerId ?? order.customer_id) && order.status === (status ?? order.status),
    );
    const page = pageOfStuckOrders(open, idle_seconds * 1000, now(), { cursor, limit });
    log.info({ audit: 'list-stuck-orders', caller_id, idle_seconds }, 'stuck orders listed');
    sendPage(req, res, page);
  });

  router.get('/api/customers/:customer_id/totals', async (req, res) => {
    const caller = callerOf(req);
    const customerId = parsePath(customerIdSchema, req.params.customer_id, 'customer');
    if (!canRead(caller, customerId)) throw notFound('customer');
    res.set('cache-control', 'no-store').json(await readModel.totals(customerId));
  });

  router.get('/api/admin/dead-letters', async (req, res) => {
    const { id: caller_id } = requireAdmin(req);
    const { cursor, limit } = parseQuery(deadLetterListQuery, req.query);
    const { items, nextCursor } = await deadLetters.list(cursor, limit);
    log.info({ audit: 'list-dead-letters', caller_id }, 'dead letters listed');
    sendPage(req, res, { items: items.map(redacted), nextCursor });
  });

  router.get('/api/admin/dead-letters/:id', async (req, res) => {
    const { id: caller_id } = requireAdmin(req);
    const letter = await load(req.params.id);
    const { dead_letter_id } = letter;
    log.info({ audit: 'read-dead-letter', caller_id, dead_letter_id }, 'dead letter read');
    res.set('cache-control', 'no-store').json(redacted(letter));
  });

  router.post('/api/admin/dead-letters/:id/redrive', async (req, res) => {
    const { id: admin } = requireAdmin(req);
    const letter = await load(req.params.id);
    parseBody(noBody, req.body);
    const event = redrivable(letter);
    if (!event)
      throw new ProblemError(
        409,
        'not-redrivable',
        'The dead letter is not an event of a known type. It cannot be redriven.',
      );
    const { dead_letter_id, type, event_id } = letter;
    await withIdempotency(req, res, { name: 'redrive', request: { dead_letter_id } }, async () => {
      await inSpan(
        'redrive dead letter',
        { 'dead_letter.id': dead_letter_id, 'messaging.destination.name': type },
        () => sidecar.publish(event, { again: true }),
      );
      log.info(
        { audit: 'redrive', caller_id: admin, dead_letter_id, type, event_id },
        'dead letter redriven',
      );
      return { status: 202, body: redacted((await deadLetters.countRedrive(dead_letter_id)) ?? letter) };
    });
  });

  router.get('/api/admin/history/rebuild', async (req, res) => {
    requireAdmin(req);
    res.set('cache-control', 'no-store').json(await rebuild.state());
  });

  router.post('/api/admin/history/rebuild', async (req, res) => {
    const { id: caller_id } = requireAdmin(req);
    parseBody(noBody, req.body);
    await withIdempotency(req, res, { name: 'rebuild history', request: {} }, async () => {
      const { rebuild: body, isNew } = await rebuild.start();
      log.info({ audit: 'rebuild', caller_id, joined: !isNew }, 'rebuild of the read model requested');
      return { status: 202, body };
    });
  });

  router.post(`/job/${REBUILD_JOB}`, async (_req, res) => {
    await rebuild.continueRebuild();
    res.json({});
  });

  router.post(`/job/${ERASURE_JOB_PREFIX}:customer_id`, async (req, res) => {
    const customerId = parsePath(customerIdSchema, req.params.customer_id, 'customer');
    await inSpan('erase reasons', {}, () => erasure.continueErasure(customerId));
    res.json({});
  });

  async function load(param: string): Promise<DeadLetter> {
    const letter = await deadLetters.load(parsePath(deadLetterId, param, 'dead letter'));
    if (!letter) throw notFound('dead letter');
    return letter;
  }

  return router;
}
