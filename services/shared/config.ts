import { z } from 'zod';

/** What every service reads from its environment. A service extends it with its own variables. */
export const baseConfig = z.object({
  /** The port this service listens on; only the gateway is meant to be reached from outside. */
  APP_PORT: z.coerce.number().int().min(1).max(65535),
  /** The address to bind; sidecar and service share a host, so the loopback is enough for all but the gateway. */
  APP_HOST: z.string().default('127.0.0.1'),
  DAPR_HTTP_PORT: z.coerce.number().int().min(1).max(65535).default(3500),
  /** Where the sidecar tells its metrics. */
  DAPR_METRICS_PORT: z.coerce.number().int().min(1).max(65535).default(9090),
  /** This service sends it to its sidecar (https://docs.dapr.io/operations/security/api-token/). */
  DAPR_API_TOKEN: z.string().min(1),
  /** The sidecar sends it with every call (https://docs.dapr.io/operations/security/app-api-token/). */
  APP_API_TOKEN: z.string().min(1),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Where the service's own spans go; not set: only the sidecars trace. */
  ZIPKIN_ENDPOINT: z.url().optional(),
  /** Traces that begin here, at most. Each order is some seventy spans, which cost more than the order. */
  TRACES_PER_SECOND: z.coerce.number().int().min(0).default(10),
});

export type BaseConfig = z.infer<typeof baseConfig>;

/** Where the sidecar is, and what it wants to hear. */
export function sidecarOptions(config: BaseConfig) {
  return {
    port: config.DAPR_HTTP_PORT,
    metricsPort: config.DAPR_METRICS_PORT,
    apiToken: config.DAPR_API_TOKEN,
  };
}

/**
 * Reads the environment once, at start.
 *
 * @throws Error naming every variable that is missing or wrong, never its value: it may be a secret.
 */
export function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  env: Record<string, string | undefined>,
): z.infer<Schema> {
  // An empty variable means "not set": shells and YAML templates cannot say it otherwise.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const wrong = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`invalid configuration: ${wrong.join('; ')}`);
}
