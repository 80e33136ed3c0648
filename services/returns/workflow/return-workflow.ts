import type { Task, WorkflowContext } from '@dapr/dapr';
import type { ReturnStatus } from '../domain/state-machine.ts';

/**
 * The process of a return. Dapr replays this code from its history, so it must be deterministic. A changed process gets a new name:
 * workflows of the old name fail, and the sweep replaces them (services/decisions/0140-returns.md). Steps never throw: @dapr/dapr
 * would leave the workflow running for ever.
 */
export const RETURN_WORKFLOW = 'return-v2';

/** The event by which a request tells the workflow that the return has changed. */
export const CHANGED = 'changed';

/**
 * The steps, which are activities. Each may run twice. There are few, because a step costs more than what it does
 * (services/decisions/0139-two-styles.md).
 */
export const STEPS = ['advance', 'expire'] as const;
export type Step = (typeof STEPS)[number];

export interface StepInput {
  return_id: string;
}

/** What a step has done: the status of the return after it. A step that failed runs again. */
export type StepResult = { ok: true; status: ReturnStatus; expires_at?: string | undefined } | { ok: false };

/** After so many failures in a row the workflow starts again with an empty history, which would grow for ever. */
const MAX_FAILURES = 20;
const MAX_DELAY_SECONDS = 60;

/** 1 s, then twice as long each time. Money is never given up, so there is no last attempt. */
export const delaySeconds = (failures: number): number => Math.min(2 ** failures, MAX_DELAY_SECONDS);

type Process<Result = void> = AsyncGenerator<Task<unknown>, Result, unknown>;

export async function* returnWorkflow(
  context: WorkflowContext,
  input: StepInput,
): Process<ReturnStatus | undefined> {
  let step: Step = 'advance';
  for (;;) {
    const current = yield* run(context, step, input);
    step = 'advance';
    switch (current?.status) {
      case undefined:
        context.continueAsNew(input, true);
        return undefined;
      case 'REQUESTED':
        yield context.waitForExternalEvent(CHANGED);
        break;
      case 'APPROVED':
        if (!(yield* waitForParcel(context, current.expires_at))) step = 'expire';
        break;
      case 'RECEIVED':
        break;
      case 'REFUNDED':
      case 'REJECTED':
      case 'CANCELLED':
      case 'EXPIRED':
        return current.status;
    }
  }
}

/** Runs a step until it succeeds. @returns undefined after many failures */
async function* run(
  context: WorkflowContext,
  step: Step,
  input: StepInput,
): Process<(StepResult & { ok: true }) | undefined> {
  for (let failures = 0; failures < MAX_FAILURES; failures++) {
    const result = (yield context.callActivity(step, input)) as StepResult;
    if (result.ok) return result;
    yield context.createTimer(delaySeconds(failures));
  }
  return undefined;
}

/** @returns whether the return changed before it expires */
async function* waitForParcel(context: WorkflowContext, expiresAt = ''): Process<boolean> {
  const changed = context.waitForExternalEvent(CHANGED);
  const expired = context.createTimer(new Date(expiresAt));
  const first = yield context.whenAny([changed, expired]);
  return first === changed;
}
