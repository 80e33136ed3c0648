import { WorkflowContext, type TWorkflow } from '@dapr/dapr';
import { Registry } from '@dapr/dapr/workflow/internal/durabletask/worker/registry.js';
import { OrchestrationExecutor } from '@dapr/dapr/workflow/internal/durabletask/worker/orchestration-executor.js';
import {
  HistoryEvent,
  OrchestrationStatus,
  type OrchestratorAction,
} from '@dapr/dapr/workflow/internal/durabletask/proto/orchestrator_service_pb.js';
import { sdkLogger } from '../../services/returns/dapr/sdk-logger.ts';
import * as events from '@dapr/dapr/workflow/internal/durabletask/utils/pb-helper.util.js';

/** A history in a file: each event as Dapr stores it, in base64. */
export type RecordedHistory = readonly string[];

// The executor writes many lines to the console otherwise.
sdkLogger({ warn: () => {} });

const registryOf = (name: string, workflow: TWorkflow): Registry => {
  const registry = new Registry();
  // As WorkflowRuntime registers it.
  registry.addNamedOrchestrator(name, (context, input: unknown) =>
    workflow(new WorkflowContext(context), input),
  );
  return registry;
};

/**
 * Replays a recorded history against today's code, as Dapr does at each new event.
 *
 * @returns why the code does not follow the history; undefined if it does
 */
export async function replay(
  name: string,
  workflow: TWorkflow,
  recorded: RecordedHistory,
): Promise<string | undefined> {
  const history = recorded.map((event) => HistoryEvent.deserializeBinary(Buffer.from(event, 'base64')));
  const executor = new OrchestrationExecutor(registryOf(name, workflow));
  const { actions } = await executor.execute('recorded', history.slice(0, -1), history.slice(-1));
  for (const action of actions) {
    const completion = action.getCompleteorchestration();
    if (completion?.getOrchestrationstatus() === OrchestrationStatus.ORCHESTRATION_STATUS_FAILED)
      return completion.getFailuredetails()?.getErrormessage() ?? 'it failed';
  }
  return undefined;
}

/** Workflows in memory: the real code and the executor of `@dapr/dapr`, and a clock that the test sets. */
export interface WorkflowSimulation {
  start: (id: string, input: unknown) => Promise<void>;
  raise: (id: string, event: string) => Promise<void>;
  /** Fires the timers until this time, in their order. */
  advanceTo: (time: Date) => Promise<void>;
  /** The result of a workflow that has ended. */
  resultOf: (id: string) => string | undefined;
  /** The steps that ran, in order. */
  steps: string[];
  /** The time of the next timer. */
  nextTimer: () => Date | undefined;
}

interface Instance {
  past: HistoryEvent[];
  timers: { id: number; at: Date }[];
  result?: string | undefined;
}

export function simulateWorkflows(options: {
  name: string;
  workflow: TWorkflow;
  activities: Readonly<Record<string, (input: never) => Promise<unknown>>>;
  now: () => Date;
}): WorkflowSimulation {
  const { name, workflow, activities, now } = options;
  const registry = registryOf(name, workflow);
  const instances = new Map<string, Instance>();
  const steps: string[] = [];

  async function feed(id: string, ...incoming: HistoryEvent[]): Promise<void> {
    const instance = instances.get(id);
    if (!instance || instance.result !== undefined) return;
    const current = [events.newOrchestratorStartedEvent(now()), ...incoming];
    const { actions } = await new OrchestrationExecutor(registry).execute(id, instance.past, current);
    instance.past.push(...current);
    for (const action of actions) await perform(id, instance, action);
  }

  async function perform(id: string, instance: Instance, action: OrchestratorAction): Promise<void> {
    const task = action.getScheduletask();
    const timer = action.getCreatetimer();
    const completion = action.getCompleteorchestration();
    if (completion) {
      const status = completion.getOrchestrationstatus();
      if (status === OrchestrationStatus.ORCHESTRATION_STATUS_CONTINUED_AS_NEW) {
        instances.set(id, { past: [], timers: [] });
        const input = completion.getResult()?.getValue();
        return feed(
          id,
          events.newExecutionStartedEvent(name, id, input),
          ...completion.getCarryovereventsList(),
        );
      }
      if (status !== OrchestrationStatus.ORCHESTRATION_STATUS_COMPLETED)
        throw new Error(completion.getFailuredetails()?.getErrormessage());
      instance.result = completion.getResult()?.getValue();
      return;
    }
    if (timer) {
      const at = timer.getFireat()?.toDate() ?? now();
      instance.past.push(events.newTimerCreatedEvent(action.getId(), at));
      instance.timers.push({ id: action.getId(), at });
      return;
    }
    if (!task) throw new Error('the simulation does not know this action');
    const input = task.getInput()?.getValue();
    instance.past.push(events.newTaskScheduledEvent(action.getId(), task.getName(), input));
    steps.push(task.getName());
    const output = await activities[task.getName()]?.(JSON.parse(input ?? 'null') as never);
    await feed(id, events.newTaskCompletedEvent(action.getId(), JSON.stringify(output)));
  }

  const pending = () =>
    [...instances].flatMap(([id, { timers, result }]) =>
      result === undefined ? timers.map((timer) => ({ id, timer })) : [],
    );
  const next = () => pending().toSorted((one, other) => one.timer.at.getTime() - other.timer.at.getTime())[0];

  return {
    async start(id, input) {
      if (instances.has(id)) return;
      instances.set(id, { past: [], timers: [] });
      await feed(id, events.newExecutionStartedEvent(name, id, JSON.stringify(input)));
    },
    raise: (id, event) => feed(id, events.newEventRaisedEvent(event, '{}')),
    async advanceTo(time) {
      for (let due = next(); due && due.timer.at <= time; due = next()) {
        const { id, timer } = due;
        const instance = instances.get(id);
        if (instance) instance.timers = instance.timers.filter((one) => one !== timer);
        await feed(id, events.newTimerFiredEvent(timer.id, timer.at));
      }
    },
    resultOf: (id) => {
      const result = instances.get(id)?.result;
      return result === undefined ? undefined : String(JSON.parse(result));
    },
    steps,
    nextTimer: () => next()?.timer.at,
  };
}
