import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

const aMinute = (usual: number) => z.coerce.number().int().min(1).max(1_000_000_000).default(usual);
const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  );

export const config = baseConfig
  .extend({
    /** The one service that is meant to be reached from outside. */
    APP_HOST: z.string().default('0.0.0.0'),
    GRPC_PORT: z.coerce.number().int().min(1).max(65535).default(50051),
    /** Requests of one caller a minute: without a token, with one, and to register or log in. */
    RATE_LIMIT_DEFAULT: aMinute(100),
    RATE_LIMIT_API: aMinute(1_000),
    RATE_LIMIT_AUTH: aMinute(10),
    /** Where replicas count together; not set: each counts alone. */
    RATE_LIMIT_REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
    /** Origins whose pages may call the API, separated by commas. */
    CORS_ORIGINS: list,
    /** Proxies whose X-Forwarded-For is believed: addresses, networks (10.0.0.0/8), `loopback`; separated by commas. */
    TRUSTED_PROXIES: list,
  })
  .transform((env) => ({
    ...env,
    corsOrigins: env.CORS_ORIGINS,
    trustedProxies: env.TRUSTED_PROXIES,
    appApiToken: env.APP_API_TOKEN,
    limits: { default: env.RATE_LIMIT_DEFAULT, api: env.RATE_LIMIT_API, auth: env.RATE_LIMIT_AUTH },
  }));
