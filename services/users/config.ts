import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';
import { registerBody } from './contract.ts';

export const config = baseConfig
  .extend({
    /** How long an access token is valid. */
    TOKEN_TTL_SECONDS: z.coerce.number().int().min(60).max(86_400).default(3600),
    /** How long a session lasts without a refresh; ninety days after the login it is over in any case. */
    REFRESH_TTL_SECONDS: z.coerce.number().int().min(60).max(7_776_000).default(2_592_000),
    /** How long a key signs before the next one's turn. */
    KEY_ROTATION_SECONDS: z.coerce.number().int().min(600).max(31_536_000).default(2_592_000),
    /** The first administrator, made at start where the address has no account yet. Both or none. */
    ADMIN_EMAIL: registerBody.shape.email.optional(),
    ADMIN_PASSWORD: registerBody.shape.password.optional(),
  })
  .transform(({ ADMIN_EMAIL, ADMIN_PASSWORD, ...others }, context) => {
    const { TOKEN_TTL_SECONDS, REFRESH_TTL_SECONDS, KEY_ROTATION_SECONDS, ...base } = others;
    const lifetimes = {
      tokenTtlSeconds: TOKEN_TTL_SECONDS,
      refreshTtlSeconds: REFRESH_TTL_SECONDS,
      keyRotationSeconds: KEY_ROTATION_SECONDS,
    };
    if (ADMIN_EMAIL === undefined && ADMIN_PASSWORD === undefined)
      return { ...base, lifetimes, admin: undefined };
    if (ADMIN_EMAIL !== undefined && ADMIN_PASSWORD !== undefined)
      return { ...base, lifetimes, admin: { email: ADMIN_EMAIL, password: ADMIN_PASSWORD } };
    const [missing, given] =
      ADMIN_EMAIL === undefined ? ['ADMIN_EMAIL', 'ADMIN_PASSWORD'] : ['ADMIN_PASSWORD', 'ADMIN_EMAIL'];
    context.addIssue({ code: 'custom', path: [missing], message: `is needed beside ${given}` });
    return z.NEVER;
  });
