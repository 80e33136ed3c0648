import { isIP } from 'node:net';
import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';
import { host, integer, list, origin, port, url } from '../shared/settings.ts';

const aMinute = (usual: number) => integer({ min: 1, max: 1_000_000_000, example: usual }).default(usual);

/** Names of networks that the `proxy-addr` package knows, on which `trust proxy` of Express relies. */
const NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];

/** `proxy-addr` takes more: to it, 1 is the address 0.0.0.1, and not the number of proxies that Express means by it. */
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
    GRPC_PORT: port(50051).default(50051),
    /** Where /readyz and /metrics are: not at the port that is open to the world. */
    OPERATOR_PORT: port(8079).default(8079),
    OPERATOR_HOST: host('127.0.0.1').default('127.0.0.1'),
    /** Requests of one caller a minute: without a token, with one, and to register or log in. */
    RATE_LIMIT_DEFAULT: aMinute(100),
    RATE_LIMIT_API: aMinute(1_000),
    RATE_LIMIT_AUTH: aMinute(10),
    /** Where replicas count together; not set: each counts alone. */
    RATE_LIMIT_REDIS_URL: url({
      example: 'redis://localhost:6379',
      schemes: ['redis', 'rediss'],
      problem: redisProblem,
    }).optional(),
    /** Longer than a balancer in front keeps its connections idle: Google's and Amazon's may keep them for 600 s and more. */
    KEEP_ALIVE_TIMEOUT_SECONDS: integer({ min: 1, max: 86_400, example: 620 }).default(75),
    /** Origins whose pages may call the API, separated by commas. */
    CORS_ORIGINS: list('https://shop.example,http://localhost:3000', origin).default([]),
    /** Proxies whose X-Forwarded-For is believed: addresses, networks (10.0.0.0/8), `loopback`; separated by commas. */
    TRUSTED_PROXIES: list('loopback,10.0.0.0/8', proxy).default([]),
  })
  .transform((env) => ({
    ...env,
    corsOrigins: env.CORS_ORIGINS,
    trustedProxies: env.TRUSTED_PROXIES,
    keepAliveTimeoutMs: env.KEEP_ALIVE_TIMEOUT_SECONDS * 1_000,
    appApiToken: env.APP_API_TOKEN,
    limits: { default: env.RATE_LIMIT_DEFAULT, api: env.RATE_LIMIT_API, auth: env.RATE_LIMIT_AUTH },
  }));
