import { closeServer, listen } from '../shared/http/listen.ts';
import { prepareService } from '../shared/runtime/run-service.ts';
import { createReturns } from './app.ts';
import { config as schema } from './config.ts';
import { createSdkSidecar } from './dapr/sdk-sidecar.ts';
import { createReturnEngine, startReturnWorker } from './workflow/engine.ts';
import { repeat } from './workflow/repeat.ts';

const { config, deps, onStop } = await prepareService(process, 'returns', schema);
const { log, metrics } = deps;
const apiToken = config.DAPR_API_TOKEN;
const sdk = createSdkSidecar({ port: config.DAPR_HTTP_PORT, apiToken, log });
const connection = { grpcPort: config.DAPR_GRPC_PORT, apiToken, log };
const engine = createReturnEngine(connection);
const { app, activities, sweep } = createReturns({
  ...deps,
  sidecar: { ...deps.sidecar, ...sdk },
  engine,
  windowDays: config.RETURN_WINDOW_DAYS,
  parcelMs: config.RETURN_PARCEL_DAYS * 24 * 3_600_000,
  autoApprovalAmount: config.RETURN_AUTO_APPROVAL_AMOUNT,
  now: () => new Date(),
});
const server = await listen(app, config.APP_PORT, config.APP_HOST, { metrics });
log.info({ port: config.APP_PORT }, 'listening');
const worker = startReturnWorker(connection, activities);
const sweeping = repeat(sweep, config.RETURN_SWEEP_SECONDS * 1000, log);
onStop([() => closeServer(server), worker.stop], sweeping.stop, engine.close, sdk.close);
