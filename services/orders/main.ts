import { createApp } from './app.ts';
import { config as schema } from './config.ts';
import { loadConfig, sidecarOptions } from '../shared/config.ts';
import { createLogger } from '../shared/log.ts';
import { closeServer, listen, orStop, stopGracefully } from '../shared/run.ts';
import { createMetrics } from '../shared/service.ts';
import { createSidecar } from '../shared/sidecar.ts';
import { startTracing } from '../shared/tracing.ts';

const SERVICE = 'orders';
const config = await orStop(process, () => loadConfig(schema, process.env));
const log = createLogger(SERVICE, config.LOG_LEVEL);
const stopTracing = startTracing(SERVICE, config);
const sidecar = createSidecar(sidecarOptions(config));
const app = createApp({
  log,
  sidecar,
  metrics: createMetrics(),
  appApiToken: config.APP_API_TOKEN,
  watchdogIntervalMs: config.ORDER_RECHECK_MS,
  paymentDeadlineMs: config.ORDER_EXPIRE_MS,
  maxQueueWaitMs: config.ORDER_MAX_LAG_MS,
  now: () => new Date(),
});
const server = await listen(app, config.APP_PORT, config.APP_HOST);
log.info({ port: config.APP_PORT }, 'listening');
stopGracefully(process, [() => closeServer(server)], log, stopTracing, () => sidecar.close());
