import {
  DaprWorkflowClient,
  LogLevel,
  WorkflowRuntime,
  WorkflowRuntimeStatus,
  type WorkflowContext,
} from '@dapr/dapr';
import express from 'express';

/** The app of the workflow baseline: five activities in a chain that do nothing, with Dapr's SDK. */
const sidecar = {
  daprHost: '127.0.0.1',
  daprPort: process.env['DAPR_GRPC_PORT'] ?? '',
  daprApiToken: process.env['DAPR_API_TOKEN'] ?? '',
  logger: { level: LogLevel.Error },
};
const ACTIVITIES = 5;
const TIMEOUT_SECONDS = 60;

function doNothing(): void {}

async function* chain(context: WorkflowContext): AsyncGenerator {
  for (let count = 0; count < ACTIVITIES; count++) yield context.callActivity(doNothing);
}

const client = new DaprWorkflowClient(sidecar);
const app = express();
app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }));

/** Runs one workflow to its end. */
app.post('/workflow', async (_req, res) => {
  const id = await client.scheduleNewWorkflow(chain);
  const state = await client.waitForWorkflowCompletion(id, false, TIMEOUT_SECONDS);
  res.status(state?.runtimeStatus === WorkflowRuntimeStatus.COMPLETED ? 200 : 500).json({ id });
});

app.listen(Number(process.env['APP_PORT']), '127.0.0.1');
await new WorkflowRuntime(sidecar).registerWorkflow(chain).registerActivity(doNothing).start();
