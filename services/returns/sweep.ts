import pLimit from 'p-limit';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createCounter, createGauge, type Metrics } from '../shared/telemetry/metrics.ts';
import { withoutTrace } from '../shared/telemetry/request-context.ts';
import { currentOf, isSettled, overdueMs, type ReturnDocument } from './domain/return.ts';
import { METRICS } from './metrics.ts';
import type { ReturnStore } from './store/return-store.ts';
import type { ReturnEngine } from './workflow/engine.ts';

const PAGE_SIZE = 100;
const MAX_CONCURRENT = 8;
/** A return that is due for less than this is on its way. */
const PATIENCE_MS = 10_000;
/** Longer than the longest pause of a workflow between two attempts, and the duration of an attempt. */
const STOPPED_AFTER_MS = 120_000;
/** Workflows that wait for a person or a parcel are looked up once in so many sweeps. */
const SWEEPS_PER_LOOKUP = 10;

/** What resumes a workflow, by the label of the metric. */
const ACTIONS = {
  started: (engine: ReturnEngine, returnId: string) => engine.start(returnId),
  restarted: (engine: ReturnEngine, returnId: string) => engine.restart(returnId),
  woken: (engine: ReturnEngine, returnId: string) => engine.wake(returnId),
};

/**
 * A running workflow that a wake-up does not move has lost a step, and is replaced. Each wake-up changes the time of the workflow's last
 * update, so that time proves nothing.
 */
function actionFor(
  workflow: Awaited<ReturnType<ReturnEngine['find']>>,
  overdue: number,
  now: Date,
): keyof typeof ACTIONS {
  if (!workflow) return 'started';
  const stoppedMs = Math.min(overdue, now.getTime() - workflow.createdAt.getTime());
  return workflow.isRunning && stoppedMs <= STOPPED_AFTER_MS ? 'woken' : 'restarted';
}

/**
 * Finds the workflows that have stopped, and resumes them: a crash before a start or a wake-up, a step that the worker dropped, a
 * workflow that failed. Every replica sweeps, which does no harm: a resumed workflow continues at the status of its return.
 */
export function createSweep(deps: {
  store: ReturnStore;
  engine: ReturnEngine;
  log: Logger;
  metrics: Metrics;
  now: () => Date;
}): () => Promise<void> {
  const { store, engine, log, now } = deps;
  const resumed = createCounter(deps.metrics, METRICS.resumed);
  const dueReturns = createGauge(deps.metrics, METRICS.due);
  const limit = pLimit(MAX_CONCURRENT);
  let sweeps = 0;

  async function resume(return_id: string, action: keyof typeof ACTIONS): Promise<void> {
    await ACTIONS[action](engine, return_id);
    resumed.inc({ action });
    log.info({ return_id, action }, 'the workflow of a return was resumed');
  }

  async function inspect(document: ReturnDocument, at: Date): Promise<boolean> {
    const { return_id } = document;
    const waitedMs = at.getTime() - Date.parse(currentOf(document).at);
    const overdue = overdueMs(document, at);
    const due = overdue > PATIENCE_MS;
    const mayHaveStopped = sweeps % SWEEPS_PER_LOOKUP === 0 && waitedMs > PATIENCE_MS;
    if (!due && !mayHaveStopped) return false;
    try {
      const workflow = await engine.find(return_id);
      if (due || !workflow?.isRunning) await resume(return_id, actionFor(workflow, overdue, at));
    } catch (err) {
      log.warn({ err, return_id }, 'resuming the workflow of a return failed; the next sweep tries again');
    }
    return due;
  }

  return () =>
    withoutTrace(async () => {
      sweeps += 1;
      const before = await store.loadSweep();
      let position: number | null = before?.value.position ?? 0;
      let settledUntil = position;
      let isPrefix = true;
      let due = 0;
      while (position !== null) {
        const { ids, next } = await store.readForward(position, PAGE_SIZE);
        const documents = await store.loadMany(ids);
        const settled = new Set(documents.filter(isSettled).map(({ return_id }) => return_id));
        for (const id of ids) {
          isPrefix &&= settled.has(id);
          if (isPrefix) settledUntil += 1;
        }
        const open = documents.filter(({ return_id }) => !settled.has(return_id));
        const at = now();
        const outcomes = await Promise.all(open.map((one) => limit(() => inspect(one, at))));
        due += outcomes.filter(Boolean).length;
        position = next;
      }
      dueReturns.set({}, due);
      if (settledUntil > (before?.value.position ?? 0))
        await store.saveSweep({ position: settledUntil }, before).catch((err: unknown) => {
          log.debug({ err }, 'another replica has saved the position of the sweep');
        });
    });
}
