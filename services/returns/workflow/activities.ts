import { createEventPublisher } from '../../shared/dapr/event-publisher.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { retryOnConflict } from '../../shared/dapr/state-store.ts';
import { addRequestFields, requestIdFrom, runInRequest } from '../../shared/telemetry/request-context.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { createCounter, createHistogram, type Metrics } from '../../shared/telemetry/metrics.ts';
import { inSpan } from '../../shared/telemetry/spans.ts';
import { returnEvents } from '../contract.ts';
import {
  currentOf,
  priceOf,
  sellableLines,
  statusOf,
  toReturn,
  type Change,
  type ReturnDocument,
} from '../domain/return.ts';
import { eventOf, type ReturnTrigger } from '../domain/state-machine.ts';
import type { TakeBack } from '../inventory-client.ts';
import { METRICS } from '../metrics.ts';
import type { RefundReturn } from '../payment-client.ts';
import type { ReturnStore } from '../store/return-store.ts';
import type { Transitions } from '../transitions.ts';
import type { Activities } from './engine.ts';
import { STEPS, type Step, type StepInput, type StepResult } from './return-workflow.ts';

/**
 * The steps of the workflow. Each is safe to run twice, and none throws: a failure is a result, and the workflow repeats the
 * step.
 */
export function createActivities(deps: {
  store: ReturnStore;
  transitions: Transitions;
  refundReturn: RefundReturn;
  takeBack: TakeBack;
  sidecar: Pick<Sidecar, 'publish' | 'broadcast'>;
  log: Logger;
  metrics: Metrics;
  autoApprovalAmount: number;
}): Activities {
  const { store, transitions, refundReturn, takeBack, sidecar, log, autoApprovalAmount } = deps;
  const { publish } = createEventPublisher(sidecar, returnEvents);
  const failures = createCounter(deps.metrics, METRICS.stepFailures);
  const durations = createHistogram(deps.metrics, METRICS.stepDuration);

  const steps: Record<Step, (document: ReturnDocument) => Promise<ReturnDocument>> = {
    /** Takes the return as far as it goes without a person, and publishes every status on the way. */
    async advance(document) {
      const isSmall = document.total <= autoApprovalAmount;
      const decided =
        statusOf(document) === 'REQUESTED' && isSmall ? await applied(document, 'approve') : document;
      const announced = await publishEvents(decided);
      return statusOf(announced) === 'RECEIVED' ? settle(announced) : announced;
    },
    expire: async (document) => publishEvents(await applied(document, 'expire')),
  };

  /** Refunds first, because missing stock must not delay money. Both services know the return, and answer again in the same way. */
  async function settle(document: ReturnDocument): Promise<ReturnDocument> {
    const { return_id, order_id, received, items } = document;
    const refund = await refundReturn(order_id, return_id, priceOf(received, items));
    const lines = sellableLines(document);
    if (lines.length > 0) await takeBack(order_id, return_id, lines);
    return publishEvents(await applied(document, 'complete', { refund, refunded: refund.amount }));
  }

  /** The return after a trigger, or as it is if the trigger does not apply any more. */
  async function applied(
    document: ReturnDocument,
    trigger: ReturnTrigger,
    change: Change = {},
  ): Promise<ReturnDocument> {
    return (await transitions.apply(document.return_id, trigger, () => change)).document;
  }

  /** Publishes the events of the statuses that are not known to be published. */
  async function publishEvents(document: ReturnDocument): Promise<ReturnDocument> {
    const { return_id, milestones, published } = document;
    for (const [position, { status, at, traceparent }] of milestones.entries()) {
      if (position < published) continue;
      const version = position + 1;
      const { reason: _, ...shown } = toReturn(document, version);
      const about = { id: `${return_id}:${version}`, subject: shown.order_id, time: at };
      const order_refunded = document.refund?.order_refunded ?? 0;
      const data = { return: shown, ...(status === 'REFUNDED' ? { order_refunded } : {}) };
      await inTrace(traceparent, document, () => publish(eventOf(status), { ...about, data }));
    }
    if (published === milestones.length) return document;
    return retryOnConflict(async () => {
      const before = await store.load(return_id);
      if (!before) throw new Error('the return is missing');
      const after = {
        ...before.value,
        published: Math.max(before.value.published, milestones.length),
      };
      await store.save(after, before);
      return after;
    });
  }

  async function runStep(step: Step, { return_id }: StepInput): Promise<StepResult> {
    const startedAt = performance.now();
    try {
      const before = await store.load(return_id);
      if (!before) throw new Error('the return is missing');
      const { traceparent } = currentOf(before.value);
      const after = await inTrace(traceparent, before.value, () =>
        inSpan(`${step} return`, { 'workflow.id': return_id }, () => steps[step](before.value)),
      );
      return { ok: true, status: statusOf(after), expires_at: after.expires_at };
    } catch (err) {
      failures.inc({ step });
      log.warn({ err, return_id, step }, 'a step of a return failed; the workflow repeats it');
      return { ok: false };
    } finally {
      durations.observe({ step }, (performance.now() - startedAt) / 1000);
    }
  }

  return Object.fromEntries(
    STEPS.map((step) => [step, (input: StepInput) => runStep(step, input)]),
  ) as Activities;
}

/** Runs `fn` in the trace of the request that advanced the return. */
function inTrace<T>(
  traceparent: string | undefined,
  { return_id, order_id }: ReturnDocument,
  fn: () => Promise<T>,
): Promise<T> {
  const headers = traceparent === undefined ? {} : { traceparent };
  return runInRequest(headers, { request_id: requestIdFrom(undefined), return_id }, () => {
    addRequestFields({ order_id });
    return fn();
  });
}
