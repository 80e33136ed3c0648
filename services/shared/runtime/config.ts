import { z } from 'zod';
import { SAMPLERS } from '../telemetry/tracing.ts';
import { hasCredentials, host, integer, live, origin, port, ratio, setting, token, url } from './settings.ts';

/** The environment variables of every service. A service adds its own variables. */
export const baseConfig = z.object({
  APP_PORT: port(8080).describe(
    'The port that this service listens on. Only the gateway is reached from outside.',
  ),
  APP_HOST: host('127.0.0.1')
    .default('127.0.0.1')
    .describe(
      'The address to bind. Sidecar and service share a host, so only the gateway needs another address than loopback.',
    ),
  DAPR_HTTP_PORT: port(3500).default(3500).describe('The port of the HTTP API of the sidecar.'),
  DAPR_METRICS_PORT: port(9090).default(9090).describe('The metrics port of the sidecar.'),
  DAPR_API_TOKEN: token.describe(
    'The token that this service sends to its sidecar (https://docs.dapr.io/operations/security/api-token/).',
  ),
  APP_API_TOKEN: token.describe(
    'The token that the sidecar sends with every call (https://docs.dapr.io/operations/security/app-api-token/).',
  ),
  LOG_LEVEL: live(
    setting('info', z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])).default('info'),
  ).describe('The least severe level that is logged.'),
  LOG_SAMPLE_RATIO: live(ratio(0.1).default(1)).describe(
    'The share of successful requests and events that are logged. Failures are always logged.',
  ),
  ZIPKIN_ENDPOINT: url({
    example: 'http://localhost:9411/api/v2/spans',
    schemes: ['http', 'https'],
    problem: zipkinProblem,
  })
    .optional()
    .describe(
      'The URL of Zipkin for the spans of this service. OTEL_EXPORTER_OTLP_ENDPOINT takes precedence. Without both, only the sidecars export spans.',
    ),
  // services/decisions/0127-traces-per-second.md
  TRACES_PER_SECOND: live(integer({ min: 0, max: 1_000_000, example: 10 }).default(10)).describe(
    'The maximum of traces that start in this process per second, unless OTEL_TRACES_SAMPLER is set.',
  ),
  // https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
  OTEL_SERVICE_NAME: setting(
    'orders',
    z
      .string()
      .regex(/^[\w.-]{1,64}$/, 'must consist of 1 to 64 letters, digits, dots, hyphens and underscores'),
  )
    .optional()
    .describe('The name of this service in traces. The default is its app id.'),
  OTEL_TRACES_SAMPLER: live(setting('parentbased_traceidratio', z.enum(SAMPLERS)).optional()).describe(
    'Which traces are kept of those that start in this process, instead of TRACES_PER_SECOND.',
  ),
  OTEL_TRACES_SAMPLER_ARG: live(ratio(0.1).optional()).describe(
    'The share of traces that parentbased_traceidratio keeps. The default is 1.',
  ),
  // https://opentelemetry.io/docs/specs/otel/protocol/exporter/
  OTEL_EXPORTER_OTLP_ENDPOINT: setting('http://localhost:4318', origin)
    .optional()
    .describe('The OpenTelemetry collector for the spans of this service, over OTLP/HTTP.'),
  OTEL_EXPORTER_OTLP_HEADERS: setting('api-key=4711', z.string().transform(parseHeaders))
    .optional()
    .describe('Headers for the collector: pairs with commas, percent-encoded.'),
});

/** Parses the form of https://www.w3.org/TR/baggage/#header-content without properties. */
function parseHeaders(text: string, context: z.RefinementCtx): Record<string, string> {
  try {
    const pairs = text.split(',').map((pair) => {
      const [, name, value] = /^\s*([\w-]+)\s*=\s*([\x21-\x7e]*)\s*$/.exec(pair) ?? [];
      if (name === undefined || value === undefined) throw new Error();
      return [name, decodeURIComponent(value)] as const;
    });
    return Object.fromEntries(pairs);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be pairs like name=value, with commas between them' });
    return z.NEVER;
  }
}

/** Checks the URL, because the exporter does not report Zipkin's error responses. */
function zipkinProblem(parsed: URL): string | undefined {
  if (hasCredentials(parsed)) return 'must have no user and no password: spans are sent without credentials';
  return parsed.pathname === '/' ? 'must have the path to which spans are sent' : undefined;
}

export type BaseConfig = z.infer<typeof baseConfig>;

/** The options of `createSidecar`. */
export function sidecarOptions(config: BaseConfig) {
  return {
    port: config.DAPR_HTTP_PORT,
    metricsPort: config.DAPR_METRICS_PORT,
    apiToken: config.DAPR_API_TOKEN,
  };
}

/**
 * Parses the environment at start.
 *
 * @throws Error with a line per missing or invalid variable, and a valid example. It never contains the given value, which may
 *   be a secret.
 */
export function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  env: Record<string, string | undefined>,
): z.infer<Schema> {
  const result = schema.safeParse(withoutEmpty(env));
  if (result.success) return result.data;
  throw wrongEnvironment(result.error.issues.map(lineOf));
}

/** A line per problem of these variables; empty if `loadConfig` accepts them. */
export function problemsOf(schema: z.ZodType, env: Record<string, string | undefined>): string[] {
  return schema.safeParse(withoutEmpty(env)).error?.issues.map(lineOf) ?? [];
}

export const wrongEnvironment = (problems: readonly string[]) =>
  new Error(['The environment variables are wrong:', ...problems].join('\n  '));

/** Removes empty variables. Shells and YAML templates cannot unset a variable, so empty means unset. */
const withoutEmpty = (env: Record<string, string | undefined>) =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));

function lineOf(issue: z.core.$ZodIssue): string {
  const name = issue.path.join('.');
  const example: unknown = issue.code === 'custom' ? issue.params?.['example'] : undefined;
  return `${name}: ${issue.message}.${typeof example === 'string' ? ` For example: ${name}=${example}` : ''}`;
}
