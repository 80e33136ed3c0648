import { z } from 'zod';
import { baseConfig } from '../shared/runtime/config.ts';
import { integer, setting } from '../shared/runtime/settings.ts';
import { registerBody } from './contract.ts';

/** The first administrator, who is created at start if the address has no account. Both variables or none. */
export const adminConfig = {
  ADMIN_EMAIL: setting('admin@shop.example', registerBody.shape.email)
    .optional()
    .describe('The address of the first administrator.'),
  ADMIN_PASSWORD: setting('a-long-password-of-your-own', registerBody.shape.password)
    .optional()
    .describe('The password of the first administrator.'),
};

interface AdminConfig {
  ADMIN_EMAIL?: string | undefined;
  ADMIN_PASSWORD?: string | undefined;
}

const neededBeside = (missing: keyof AdminConfig, given: keyof AdminConfig, example: string) =>
  z.refine<AdminConfig>((env) => env[missing] !== undefined || env[given] === undefined, {
    path: [missing],
    error: `is needed beside ${given}`,
    params: { example },
    when: () => true,
  });
export const bothOrNone = [
  neededBeside('ADMIN_EMAIL', 'ADMIN_PASSWORD', 'admin@shop.example'),
  neededBeside('ADMIN_PASSWORD', 'ADMIN_EMAIL', 'a-long-password-of-your-own'),
] as const;

export const config = baseConfig
  .extend({
    TOKEN_TTL_SECONDS: integer({ min: 60, max: 86_400, example: 3_600 })
      .default(3_600)
      .describe('The lifetime of an access token.'),
    REFRESH_TTL_SECONDS: integer({ min: 60, max: 7_776_000, example: 2_592_000 })
      .default(2_592_000)
      .describe(
        'The lifetime of a session without a refresh. Ninety days after the login, every session ends.',
      ),
    KEY_ROTATION_SECONDS: integer({ min: 600, max: 31_536_000, example: 2_592_000 })
      .default(2_592_000)
      .describe('How long a key signs before the next key.'),
    ...adminConfig,
  })
  // Expired sessions are not listed as ended, so gateways would accept their access tokens.
  .refine(({ TOKEN_TTL_SECONDS: token, REFRESH_TTL_SECONDS: session }) => !(session < token), {
    path: ['REFRESH_TTL_SECONDS'],
    error: 'must not be less than TOKEN_TTL_SECONDS, or access tokens would outlive their session',
    params: { example: '2592000' },
    when: () => true,
  })
  .check(...bothOrNone)
  .transform(({ ADMIN_EMAIL: email, ADMIN_PASSWORD: password, ...others }) => {
    const { TOKEN_TTL_SECONDS, REFRESH_TTL_SECONDS, KEY_ROTATION_SECONDS, ...base } = others;
    const lifetimes = {
      tokenTtlSeconds: TOKEN_TTL_SECONDS,
      refreshTtlSeconds: REFRESH_TTL_SECONDS,
      keyRotationSeconds: KEY_ROTATION_SECONDS,
    };
    const admin = email !== undefined && password !== undefined ? { email, password } : undefined;
    return { ...base, lifetimes, admin };
  });
