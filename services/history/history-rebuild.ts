import { randomUUID } from 'node:crypto';
import type { Order } from '../orders/contract.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { ConflictError } from '../shared/dapr/sidecar-call.ts';
import { retryOnConflict } from '../shared/dapr/state-store.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import type { Rebuild } from './contract.ts';
import { isOpen } from './domain/open-orders.ts';
import { METRICS } from './metrics.ts';
import type { OrderClient } from './order-client.ts';
import type { ReadModelStore } from './store/read-model-store.ts';
import type { RecountTotals } from './store/recount-totals.ts';

export interface HistoryRebuild {
  /** Starts a rebuild, or joins the one in progress. */
  start: () => Promise<{ rebuild: Rebuild; isNew: boolean }>;
  state: () => Promise<Rebuild>;
  /** Continues the rebuild in progress for some seconds. */
  continueRebuild: () => Promise<void>;
}

/** The state of a rebuild, from which any replica can continue. */
interface RebuildState extends Rebuild {
  id: string;
  status: 'running' | 'done';
  /** The stages: first the orders of `orders`, then the known orders of the read model. */
  stage: 'replaying' | 'counting';
  /** The position in the stage's list; null at its start. */
  cursor: string | null;
}

const KEY = 'rebuild';
export const REBUILD_JOB = 'rebuild-history';

/** The job runs until it is deleted, so a later run completes what a crash has interrupted. */
const REBUILD_SCHEDULE = { dueTime: '100ms', schedule: '@every 5s' };
/** How long a run works, besides the current page. */
const WORK_PER_TICK_MS = 4_000;
const PAGE_SIZE = 100;
const MAX_CONCURRENT_CUSTOMERS = 10;

/**
 * Rebuilds the read model from the orders' streams, while events are recorded as usual. Two replicas may repeat every step.
 * The ETag guards the position, and the second replica stops.
 */
export function createHistoryRebuild(deps: {
  sidecar: Sidecar;
  orders: Pick<OrderClient, 'list'>;
  readModel: ReadModelStore;
  recountTotals: RecountTotals;
  log: Logger;
  metrics: Metrics;
  now: () => Date;
}): HistoryRebuild {
  const { sidecar, orders: streams, readModel, recountTotals, log, now } = deps;
  const { state } = sidecar;
  const replayed = createCounter(deps.metrics, METRICS.replayed);
  const load = () => state.get<RebuildState>(KEY);

  async function work(): Promise<void> {
    const until = performance.now() + WORK_PER_TICK_MS;
    do {
      const loaded = await load();
      if (loaded?.value.status !== 'running') return end();
      const { stage } = loaded.value;
      const value = await inSpan('rebuild read model', { 'rebuild.stage': stage }, () =>
        stage === 'replaying' ? replayPage(loaded.value) : countPage(loaded.value),
      );
      await state.write({ op: 'put', key: KEY, value, etag: loaded.etag });
      if (value.status === 'done') log.info({ orders: value.orders }, 'read model rebuilt');
    } while (performance.now() < until);
  }

  async function end(): Promise<void> {
    await sidecar.deleteJob(REBUILD_JOB);
    // Another rebuild may have started since, and the deleted job may be its job.
    if ((await load())?.value.status === 'running') await sidecar.scheduleJob(REBUILD_JOB, REBUILD_SCHEDULE);
  }

  /** Replays all orders that `orders` has, so that unknown ones return. */
  async function replayPage(rebuild: RebuildState): Promise<RebuildState> {
    const page = await streams.list({
      limit: String(PAGE_SIZE),
      ...(rebuild.cursor ? { cursor: rebuild.cursor } : {}),
    });
    await replay(page.items);
    // Open orders count in the second stage.
    const orders = rebuild.orders + page.items.filter((order) => !isOpen(order)).length;
    const stage = page.next_cursor === null ? 'counting' : 'replaying';
    return { ...rebuild, orders, stage, cursor: page.next_cursor };
  }

  /** Replays every known order, so that open orders are corrected too, and then recounts the totals of its customer. */
  async function countPage(rebuild: RebuildState): Promise<RebuildState> {
    const { ids, orders, nextCursor } = await readModel.all(rebuild.cursor ?? undefined, PAGE_SIZE);
    // Final orders too, because the read model may have a wrong status.
    const { items } =
      ids.length > 0 ? await streams.list({ ids: [...new Set(ids)].join(',') }) : { items: [] };
    await replay(items);
    const customers = new Set([...orders, ...items].map(({ customer_id }) => customer_id));
    const left = [...customers];
    while (left.length > 0)
      await Promise.all(
        left.splice(0, MAX_CONCURRENT_CUSTOMERS).map((customer) => recountTotals(customer, rebuild.id)),
      );
    const done = { status: 'done', finished_at: now().toISOString() } as const;
    return {
      ...rebuild,
      // Final orders were counted in the first stage.
      orders: rebuild.orders + items.filter(isOpen).length,
      cursor: nextCursor,
      ...(nextCursor === null ? done : {}),
    };
  }

  async function replay(orders: readonly Order[]): Promise<void> {
    await Promise.all(orders.map(readModel.replay));
    replayed.inc({}, orders.length);
  }

  return {
    async start() {
      const { kept, isNew } = await retryOnConflict(async () => {
        const loaded = await load();
        if (loaded?.value.status === 'running') return { kept: loaded.value, isNew: false };
        const fresh: RebuildState = {
          id: randomUUID(),
          status: 'running',
          started_at: now().toISOString(),
          orders: 0,
          stage: 'replaying',
          cursor: null,
        };
        await state.write({ op: 'put', key: KEY, value: fresh, etag: loaded?.etag });
        return { kept: fresh, isNew: true };
      });
      // Also for a rebuild in progress, because a crash may have prevented the job.
      await sidecar.scheduleJob(REBUILD_JOB, REBUILD_SCHEDULE);
      return { rebuild: shown(kept), isNew };
    },

    async state() {
      const loaded = await load();
      return loaded ? shown(loaded.value) : { status: 'none', orders: 0 };
    },

    continueRebuild: () =>
      work().catch((error: unknown) => {
        if (!(error instanceof ConflictError)) throw error;
        log.debug({ err: error }, 'rebuild already in progress on another replica');
      }),
  };
}

function shown({ status, started_at, finished_at, orders }: RebuildState): Rebuild {
  return { status, started_at, ...(finished_at === undefined ? {} : { finished_at }), orders };
}
