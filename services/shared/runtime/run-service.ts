import type { Express } from 'express';
import type { z } from 'zod';
import { loadConfig, sidecarOptions, type BaseConfig } from './config.ts';
import { createLogger, readableDestination } from '../telemetry/logger.ts';
import { closeServer, listen } from '../http/listen.ts';
import { orExit, stopGracefully } from './shutdown.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createLiveSettings } from './live-settings.ts';
import type { ServiceDeps } from './service-app.ts';
import { createSidecar } from '../dapr/sidecar.ts';
import { startTracing } from '../telemetry/tracing.ts';

/** A process that is about to be a service. */
export interface ServiceProcess<Config> {
  /** The environment at the start. */
  config: Config;
  /** The settings of this moment: the configuration store may have changed some. */
  current: () => Config;
  deps: ServiceDeps;
  /** Stops gracefully on SIGTERM and SIGINT: `servers` close at once, then `cleanups` run in their order, then sidecar and tracing end. */
  onStop: (servers: readonly (() => Promise<unknown>)[], ...cleanups: (() => Promise<unknown>)[]) => void;
}

/**
 * Reads the environment, and prepares what every service needs. A wrong environment ends the process with 1 and names each
 * variable.
 *
 * @param service the name in logs and spans
 */
export async function prepareService<Config extends BaseConfig>(
  process: NodeJS.Process,
  service: string,
  schema: z.ZodType<Config>,
): Promise<ServiceProcess<Config>> {
  const config = await orExit(process, () => loadConfig(schema, process.env));
  const terminal = process.stdout.isTTY ? readableDestination(process.stdout) : undefined;
  const log = createLogger(service, config.LOG_LEVEL, terminal);
  const sidecar = createSidecar(sidecarOptions(config));
  const settings = createLiveSettings({
    service,
    schema,
    env: process.env,
    config,
    sidecar,
    log,
    onChange: ({ LOG_LEVEL }) => void (log.level = LOG_LEVEL),
  });
  const stopTracing = await startTracing(service, config, log, settings.current);
  settings.start();
  return {
    config,
    current: settings.current,
    deps: {
      log,
      logSampleRatio: () => settings.current().LOG_SAMPLE_RATIO,
      sidecar,
      metrics: createMetrics(),
      appApiToken: config.APP_API_TOKEN,
    },
    onStop: (servers, ...cleanups) =>
      stopGracefully(process, servers, log, settings.stop, stopTracing, ...cleanups, () => sidecar.close()),
  };
}

/**
 * Runs a service that has one port: prepares it, builds its app, and listens until SIGTERM or SIGINT.
 */
export async function runService<Config extends BaseConfig>(
  process: NodeJS.Process,
  service: string,
  schema: z.ZodType<Config>,
  build: (deps: ServiceDeps, config: Config, current: () => Config) => Express | Promise<Express>,
): Promise<void> {
  const { config, current, deps, onStop } = await prepareService(process, service, schema);
  const app = await build(deps, config, current);
  const { metrics } = deps;
  const server = await listen(app, config.APP_PORT, config.APP_HOST, { metrics });
  deps.log.info({ port: config.APP_PORT }, 'listening');
  onStop([() => closeServer(server)]);
}
