import { retryOnConflict } from '../shared/dapr/state-store.ts';
import { notFound } from '../shared/http/problem.ts';
import { outgoingHeaders } from '../shared/telemetry/request-context.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import { applyTrigger, statusOf, type Change, type ReturnDocument } from './domain/return.ts';
import type { ReturnTrigger } from './domain/state-machine.ts';
import { METRICS } from './metrics.ts';
import type { ReturnStore } from './store/return-store.ts';

export interface Transitions {
  /**
   * Applies a trigger to a return: load, decide, save. A trigger that does not apply changes nothing.
   *
   * @param changeOf what else changes; it may throw a problem
   * @throws ProblemError 404 if the return does not exist
   */
  apply: (
    returnId: string,
    trigger: ReturnTrigger,
    changeOf?: (document: ReturnDocument) => Change,
  ) => Promise<{ document: ReturnDocument; changed: boolean }>;
}

export function createTransitions(deps: {
  store: ReturnStore;
  log: Logger;
  metrics: Metrics;
  parcelMs: number;
  now: () => Date;
}): Transitions {
  const { store, log, parcelMs, now } = deps;
  const reached = createCounter(deps.metrics, METRICS.transitions);
  return {
    apply: (returnId, trigger, changeOf = () => ({})) =>
      retryOnConflict(async () => {
        const before = await store.load(returnId);
        if (!before) throw notFound('return');
        const at = now();
        const { traceparent } = outgoingHeaders();
        const own = trigger === 'approve' ? approval(returnId, at, parcelMs) : {};
        const decided = applyTrigger(before.value, trigger, { at: at.toISOString(), traceparent });
        if (!decided) return { document: before.value, changed: false };
        const document = { ...decided, ...own, ...changeOf(before.value) };
        await store.save(document, before);
        const status = statusOf(document);
        reached.inc({ status });
        log.info({ return_id: returnId, status }, 'return status changed');
        return { document, changed: true };
      }),
  };
}

/** What an approval adds: the label of the parcel, and until when the parcel may arrive. */
function approval(returnId: string, at: Date, parcelMs: number): Change {
  return {
    label: `RT${returnId.replaceAll('-', '').slice(0, 12).toUpperCase()}`,
    expires_at: new Date(at.getTime() + parcelMs).toISOString(),
  };
}
