import { z } from 'zod';
import { hasCredentials, host, integer, port, setting, token, url } from './settings.ts';

/** What every service reads from its environment. A service extends it with its own variables. */
export const baseConfig = z.object({
  /** The port this service listens on; only the gateway is meant to be reached from outside. */
  APP_PORT: port(8080),
  /** The address to bind; sidecar and service share a host, so the loopback is enough for all but the gateway. */
  APP_HOST: host('127.0.0.1').default('127.0.0.1'),
  DAPR_HTTP_PORT: port(3500).default(3500),
  /** Where the sidecar tells its metrics. */
  DAPR_METRICS_PORT: port(9090).default(9090),
  /** This service sends it to its sidecar (https://docs.dapr.io/operations/security/api-token/). */
  DAPR_API_TOKEN: token,
  /** The sidecar sends it with every call (https://docs.dapr.io/operations/security/app-api-token/). */
  APP_API_TOKEN: token,
  LOG_LEVEL: setting('info', z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])).default(
    'info',
  ),
  /** Where the service's own spans go; not set: only the sidecars trace. */
  ZIPKIN_ENDPOINT: url({
    example: 'http://localhost:9411/api/v2/spans',
    schemes: ['http', 'https'],
    problem: zipkinProblem,
  }).optional(),
  /** Traces that begin in this process per second, at most: services/decisions/0127-traces-per-second.md. */
  TRACES_PER_SECOND: integer({ min: 0, max: 1_000_000, example: 10 }).default(10),
});

/** Spans go to exactly this URL, and what Zipkin answers to a wrong one reaches nobody. */
function zipkinProblem(parsed: URL): string | undefined {
  if (hasCredentials(parsed)) return 'must have no user and no password: spans are sent without credentials';
  return parsed.pathname === '/' ? 'must have the path to which spans are sent' : undefined;
}

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
 * @throws Error naming every variable that is missing or wrong, what is wrong with it and a right value. The value that was
 *   given is not in it: it may be a secret.
 */
export function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  env: Record<string, string | undefined>,
): z.infer<Schema> {
  const result = schema.safeParse(withoutEmpty(env));
  if (result.success) return result.data;
  throw wrongEnvironment(result.error.issues.map(lineOf));
}

/** What is wrong with these variables, a line for each problem; none where `loadConfig` would take them. */
export function problemsOf(schema: z.ZodType, env: Record<string, string | undefined>): string[] {
  return schema.safeParse(withoutEmpty(env)).error?.issues.map(lineOf) ?? [];
}

export const wrongEnvironment = (problems: readonly string[]) =>
  new Error(['The environment variables are wrong:', ...problems].join('\n  '));

/** An empty variable means "not set": shells and YAML templates cannot say it otherwise. */
const withoutEmpty = (env: Record<string, string | undefined>) =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));

function lineOf(issue: z.core.$ZodIssue): string {
  const name = issue.path.join('.');
  const example: unknown = issue.code === 'custom' ? issue.params?.['example'] : undefined;
  return `${name}: ${issue.message}.${typeof example === 'string' ? ` For example: ${name}=${example}` : ''}`;
}
