import { prepareService } from '../shared/runtime/run-service.ts';
import { closeServer, drainServer, listen } from '../shared/http/listen.ts';
import { stopSignal } from '../shared/runtime/shutdown.ts';
import { createApp, createGrpc } from './app.ts';
import { config as schema } from './config.ts';
import { MAX_HEADER_BYTES } from './http/api-router.ts';
import { createAccessControl } from './auth/access-control.ts';
import { createRedisStore } from './limits/rate-limit-store.ts';
import { createOrderUpdates } from './order-updates/feed.ts';
import { createOperatorApp } from './http/operator.ts';

const { config, current, deps: own, onStop } = await prepareService(process, 'gateway', schema);
const { log, metrics } = own;
const rateLimitStore = createRedisStore(config.RATE_LIMIT_REDIS_URL, log);
const limits = () => current().limits;
const [now, stopping] = [() => new Date(), stopSignal(process)];
const deps = { ...config, ...own, now, clock: () => performance.now(), rateLimitStore, limits, stopping };
const accessControl = createAccessControl(deps);
const updates = createOrderUpdates(deps.sidecar);
const grpc = createGrpc(deps, accessControl, updates);
const app = createApp(deps, accessControl, updates);
const server = await listen(app, config.APP_PORT, config.APP_HOST, {
  keepAliveTimeoutMs: config.keepAliveTimeoutMs,
  maxHeaderBytes: MAX_HEADER_BYTES,
  metrics,
});
await grpc.listen(config.GRPC_PORT, config.APP_HOST);
const operator = await listen(createOperatorApp(deps), config.OPERATOR_PORT, config.OPERATOR_HOST);
log.info({ port: config.APP_PORT, grpc_port: config.GRPC_PORT }, 'listening');
onStop([() => drainServer(server), grpc.stop, () => closeServer(operator)], rateLimitStore.close);
