import { isIP } from 'node:net';
import { z } from 'zod';
import { baseConfig } from '../shared/runtime/config.ts';
import { host, integer, list, live, origin, port, url } from '../shared/runtime/settings.ts';

const aMinute = (usual: number) =>
  live(integer({ min: 1, max: 1_000_000_000, example: usual }).default(usual));

/** The network names of the `proxy-addr` package, which implements `trust proxy` of Express. */
const NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];

/** A trusted proxy. The schema is stricter than `proxy-addr`, which reads 1 as 0.0.0.1 instead of as a number of proxies. */
const proxy = z
  .string()
  .refine(isProxy, `must be an IP address, a network such as 10.0.0.0/8, or one of ${NETWORKS.join(', ')}`);

function isProxy(text: string): boolean {
  const [address = '', length, ...more] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (more.length > 0 || version === 0) return NETWORKS.includes(text);
  const isLength = length === undefined || /^[1-9]\d{0,2}$/.test(length);
  return isLength && Number(length ?? 1) <= (version === 4 ? 32 : 128);
}

function redisProblem({ pathname, search, username, password }: URL): string | undefined {
  if (!/^\/?\d*$/.test(pathname) || search !== '')
    return 'must end after the port or with a database number such as /0';
  if (isDecodable(username) && isDecodable(password)) return undefined;
  return 'must encode a % in the user or password as %25';
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

export const config = baseConfig
  .extend({
    GRPC_PORT: port(50051).default(50051).describe('The port of gRPC.'),
    OPERATOR_PORT: port(8079)
      .default(8079)
      .describe('The port of /readyz and /metrics, which are not on the public port.'),
    OPERATOR_HOST: host('127.0.0.1').default('127.0.0.1').describe('The address of the operator port.'),
    RATE_LIMIT_DEFAULT: aMinute(100).describe('Requests without a token, per minute and address.'),
    RATE_LIMIT_API: aMinute(1_000).describe('Requests with a token, per minute and user.'),
    RATE_LIMIT_AUTH: aMinute(10).describe('Registrations and logins, per minute and address.'),
    RATE_LIMIT_REDIS_URL: url({
      example: 'redis://localhost:6379',
      schemes: ['redis', 'rediss'],
      problem: redisProblem,
    })
      .optional()
      .describe('The Redis in which replicas count together. Without it, each replica counts alone.'),
    KEEP_ALIVE_TIMEOUT_SECONDS: integer({ min: 1, max: 86_400, example: 620 })
      .default(75)
      .describe('It must exceed the idle timeout of a load balancer in front, which may be 600 s or more.'),
    CORS_ORIGINS: list('https://shop.example,http://localhost:3000', origin)
      .default([])
      .describe('Origins of web pages that may call the API, separated by commas.'),
    TRUSTED_PROXIES: list('loopback,10.0.0.0/8', proxy)
      .default([])
      .describe(
        'Proxies whose X-Forwarded-For is trusted: addresses, networks (10.0.0.0/8) or `loopback`, separated by commas.',
      ),
  })
  .transform((env) => ({
    ...env,
    corsOrigins: env.CORS_ORIGINS,
    trustedProxies: env.TRUSTED_PROXIES,
    keepAliveTimeoutMs: env.KEEP_ALIVE_TIMEOUT_SECONDS * 1_000,
    appApiToken: env.APP_API_TOKEN,
    limits: { default: env.RATE_LIMIT_DEFAULT, api: env.RATE_LIMIT_API, auth: env.RATE_LIMIT_AUTH },
  }));
