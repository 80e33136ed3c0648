import { DaprWorkflowClient, WorkflowRuntime, WorkflowRuntimeStatus } from '@dapr/dapr';
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import pLimit from 'p-limit';
import { outgoingHeaders } from '../../shared/telemetry/request-context.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { sdkLogger } from '../dapr/sdk-logger.ts';
import {
  CHANGED,
  RETURN_WORKFLOW,
  returnWorkflow,
  STEPS,
  type Step,
  type StepInput,
  type StepResult,
} from './return-workflow.ts';

/** The workflows of returns. The id of a workflow is that of its return. */
export interface ReturnEngine {
  /** Starts the workflow of a return, unless it runs. */
  start: (returnId: string) => Promise<void>;
  /** Tells the workflow that its return has changed. */
  wake: (returnId: string) => Promise<void>;
  /** The workflow as Dapr knows it; undefined if there is none. */
  find: (returnId: string) => Promise<{ isRunning: boolean; createdAt: Date } | undefined>;
  /** Ends the workflow and starts it again. It continues at the status of the return. */
  restart: (returnId: string) => Promise<void>;
}

/** Runs the steps that Dapr assigns to this process. */
export interface ReturnWorker {
  stop: () => Promise<void>;
}

export type Activities = Readonly<Record<Step, (input: StepInput) => Promise<StepResult>>>;

interface Connection {
  grpcPort: number;
  apiToken: string;
  log: Logger;
}

/** The client has no timeout. */
const CALL_TIMEOUT_MS = 10_000;
const MAX_CALLS = 16;
/** The worker ends if its first connection breaks. */
const RESTART_INTERVAL_MS = 1_000;

const optionsOf = ({ grpcPort, apiToken, log }: Connection) => ({
  daprHost: '127.0.0.1',
  daprPort: String(grpcPort),
  daprApiToken: apiToken,
  logger: sdkLogger(log),
  grpcOptions: {
    // A sidecar that hangs is noticed.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    interceptors: [withTrace],
  },
});

/** Dapr's spans of a workflow belong to the trace of the request that starts or wakes it. */
const withTrace: Interceptor = (options, nextCall) => {
  const isStream = options.method_definition.responseStream;
  return new InterceptingCall(
    nextCall(isStream ? options : { ...options, deadline: Date.now() + CALL_TIMEOUT_MS }),
    {
      start(metadata, listener, next) {
        const { traceparent } = outgoingHeaders();
        if (traceparent && !isStream) metadata.set('traceparent', traceparent);
        next(metadata, listener);
      },
    },
  );
};

export function createReturnEngine(connection: Connection): ReturnEngine & { close: () => Promise<void> } {
  const client = new DaprWorkflowClient(optionsOf(connection));
  const limit = pLimit(MAX_CALLS);

  async function start(returnId: string): Promise<void> {
    const input: StepInput = { return_id: returnId };
    await client.scheduleNewWorkflow(RETURN_WORKFLOW, input, returnId).catch((error: unknown) => {
      if (!/already exists/i.test(String(error))) throw error;
    });
  }

  return {
    start: (returnId) => limit(() => start(returnId)),
    wake: (returnId) => limit(() => client.raiseEvent(returnId, CHANGED, {})),
    find: (returnId) =>
      limit(async () => {
        const found = await client.getWorkflowState(returnId, false);
        if (!found) return undefined;
        return { isRunning: RUNNING.has(found.runtimeStatus), createdAt: found.createdAt };
      }),
    restart: (returnId) =>
      limit(async () => {
        await client.terminateWorkflow(returnId, undefined).catch(() => undefined);
        await client.purgeWorkflow(returnId).catch(() => undefined);
        await start(returnId);
      }),
    close: () => client.stop(),
  };
}

const RUNNING: ReadonlySet<WorkflowRuntimeStatus> = new Set([
  WorkflowRuntimeStatus.RUNNING,
  WorkflowRuntimeStatus.PENDING,
  WorkflowRuntimeStatus.SUSPENDED,
]);

/** Starts the worker, and starts it again whenever it has ended. */
export function startReturnWorker(connection: Connection, activities: Activities): ReturnWorker {
  const runtime = new WorkflowRuntime(optionsOf(connection));
  runtime.registerWorkflowWithName(RETURN_WORKFLOW, returnWorkflow);
  for (const step of STEPS)
    runtime.registerActivityWithName(step, (_, input: StepInput) => activities[step](input));
  // `start` throws while the worker runs.
  const ensureRunning = () => void runtime.start().catch(() => undefined);
  const timer = setInterval(ensureRunning, RESTART_INTERVAL_MS);
  ensureRunning();
  return {
    async stop() {
      clearInterval(timer);
      await runtime.stop().catch(() => undefined);
    },
  };
}
