import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';
import { registerBody } from './contract.ts';

export const config = baseConfig
  .extend({
    /** How long an access token is valid. */
    TOKEN_TTL_SECONDS: z.coerce.number().int().min(60).max(604_800).default(86_400),
    /** The first administrator, made at start where the address has no account yet. Both or none. */
    ADMIN_EMAIL: registerBody.shape.email.optional(),
    ADMIN_PASSWORD: registerBody.shape.password.optional(),
  })
  .transform(({ ADMIN_EMAIL: email, ADMIN_PASSWORD: password, ...others }, context) => {
    if (email === undefined && password === undefined) return { ...others, admin: undefined };
    if (email !== undefined && password !== undefined) return { ...others, admin: { email, password } };
    const [missing, given] =
      email === undefined ? ['ADMIN_EMAIL', 'ADMIN_PASSWORD'] : ['ADMIN_PASSWORD', 'ADMIN_EMAIL'];
    context.addIssue({ code: 'custom', path: [missing], message: `is needed beside ${given}` });
    return z.NEVER;
  });
