import { Router } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import { createBackgroundLoad } from '../telemetry/background-load.ts';
import { COMMON_METRICS } from '../telemetry/common-metrics.ts';
import { createGauge, type Metrics } from '../telemetry/metrics.ts';
import { withoutTrace } from '../telemetry/request-context.ts';
import type { Sidecar } from './sidecar.ts';
import { createSweep, type SweepDeps } from './sweep.ts';
import type { WorkEntry } from './work-list.ts';

/** The job of a service: `POST /job/sweep`. */
const JOB = 'sweep';
/** A replica that the job does not reach for this time sweeps by itself. */
const OWN_SWEEP_MS = 10_000;
const RETRY_MS = 1_000;

export interface SweeperDeps extends Omit<SweepDeps, 'state'> {
  sidecar: Pick<Sidecar, 'state' | 'scheduleJob'>;
  metrics: Metrics;
}

/**
 * Lets one recurring job of the service sweep a work list, on any replica, and measures the list. Without a scheduler, work is some
 * seconds late.
 */
export function createSweeper(deps: SweeperDeps): Router {
  const { sidecar, log, everyMs } = deps;
  const sweep = createSweep({ ...deps, state: sidecar.state });
  let sweeping: Promise<number> | undefined;
  let wasTriggered = false;

  /** Sweeps, or joins the sweep in progress. */
  function sweepOnce(): Promise<number> {
    sweeping ??= withoutTrace(sweep).finally(() => (sweeping = undefined));
    return sweeping;
  }

  /** Schedules the job at the start, and again if entries are late because the scheduler has lost it. */
  async function keepSweeping(): Promise<void> {
    for (let isScheduled = false; ;) {
      isScheduled ||= await schedule();
      await delay(isScheduled ? OWN_SWEEP_MS : RETRY_MS, undefined, { ref: false });
      const lateMs = wasTriggered ? 0 : await sweepAlone();
      isScheduled &&= lateMs < OWN_SWEEP_MS;
      wasTriggered = false;
    }
  }

  async function sweepAlone(): Promise<number> {
    return sweepOnce().catch((err: unknown) => {
      log.warn({ err }, 'a sweep failed; the next one will retry');
      return 0;
    });
  }

  async function schedule(): Promise<boolean> {
    const every = `${everyMs}ms`;
    const job = { dueTime: every, schedule: `@every ${every}` };
    return withoutTrace(() => sidecar.scheduleJob(JOB, job)).then(
      () => true,
      (err: unknown) => {
        log.debug({ err }, 'scheduling the sweep failed; retrying');
        return false;
      },
    );
  }

  void keepSweeping();
  measure(deps);
  const router = Router();
  router.post(`/job/${JOB}`, async (_req, res) => {
    wasTriggered = true;
    await sweepOnce();
    res.json({});
  });
  return router;
}

function measure({ list, log, metrics, now }: SweeperDeps): void {
  const loaded = createBackgroundLoad('the work list', log, async () => [...(await list.load()).values()]);
  const entries = () => loaded()?.flatMap(({ value }) => Object.values(value));
  createGauge(metrics, COMMON_METRICS.workListEntries, (gauge) => {
    const found = entries();
    if (found) gauge.set({}, found.length);
  });
  createGauge(metrics, COMMON_METRICS.workListLate, (gauge) => {
    const lateMs = ({ added, looked = { at: added, age_ms: 0 }, due_ms }: WorkEntry) =>
      now().getTime() - looked.at - (due_ms - looked.age_ms);
    const found = entries();
    if (found) gauge.set({}, Math.max(0, ...found.map(lateMs)) / 1_000);
  });
}
