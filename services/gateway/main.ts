import { createApp, createGrpc } from './app.ts';
import { config as schema } from './config.ts';
import { createGate } from './gate.ts';
import { hitStore } from './hit-store.ts';
import { loadConfig } from '../shared/config.ts';
import { createLogger } from '../shared/log.ts';
import { listen, stopGracefully, stopSignal } from '../shared/run.ts';
import { createMetrics } from '../shared/service.ts';
import { createSidecar } from '../shared/sidecar.ts';
import { startTracing } from '../shared/tracing.ts';

const config = loadConfig(schema, process.env);
const log = createLogger('gateway', config.LOG_LEVEL);
const stopTracing = startTracing('gateway', config.ZIPKIN_ENDPOINT);
const sidecar = createSidecar({
  port: config.DAPR_HTTP_PORT,
  metricsPort: config.DAPR_METRICS_PORT,
  apiToken: config.DAPR_API_TOKEN,
});
const hits = hitStore(config.RATE_LIMIT_REDIS_URL, log);
const [metrics, now, stopping] = [createMetrics(), () => new Date(), stopSignal(process)];
const deps = { ...config, log, sidecar, metrics, now, hits, stopping };
const gate = createGate(deps);
const server = await listen(createApp(deps, gate), config.APP_PORT, config.APP_HOST);
const grpc = createGrpc(deps, gate);
await grpc.listen(config.GRPC_PORT, config.APP_HOST);
log.info({ port: config.APP_PORT, grpc_port: config.GRPC_PORT }, 'listening');
stopGracefully(process, server, log, grpc.stop, stopTracing, hits.close, sidecar.close);
