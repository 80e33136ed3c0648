import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../services/shared/runtime/config.ts';
import { config } from '../../services/users/config.ts';

const load = (more: Record<string, string> = {}) =>
  loadConfig(config, { APP_PORT: '1', DAPR_API_TOKEN: 'one', APP_API_TOKEN: 'another', ...more });

describe('the settings of users', () => {
  it('When nothing is configured, then there is no administrator, tokens last an hour, sessions and keys thirty days', () => {
    const lifetimes = { tokenTtlSeconds: 3600, refreshTtlSeconds: 2_592_000, keyRotationSeconds: 2_592_000 };
    expect(load()).toMatchObject({ admin: undefined, lifetimes });
  });

  it('When an administrator is configured, then the address is normalised', () => {
    const { admin } = load({ ADMIN_EMAIL: ' Boss@Example.com', ADMIN_PASSWORD: 'battery staple' });
    expect(admin).toEqual({ email: 'boss@example.com', password: 'battery staple' });
  });

  it.each([
    [{ ADMIN_EMAIL: 'boss@example.com' }, 'ADMIN_PASSWORD: is needed beside ADMIN_EMAIL'],
    [{ ADMIN_PASSWORD: 'battery staple' }, 'ADMIN_EMAIL: is needed beside ADMIN_PASSWORD'],
    [{ ADMIN_EMAIL: 'boss', ADMIN_PASSWORD: 'battery staple' }, 'ADMIN_EMAIL: '],
    [{ ADMIN_EMAIL: 'boss@example.com', ADMIN_PASSWORD: '12345' }, 'ADMIN_PASSWORD: '],
    [{ TOKEN_TTL_SECONDS: '59' }, 'TOKEN_TTL_SECONDS: '],
    [{ TOKEN_TTL_SECONDS: '86401' }, 'TOKEN_TTL_SECONDS: '],
    [{ REFRESH_TTL_SECONDS: '59' }, 'REFRESH_TTL_SECONDS: '],
    [{ KEY_ROTATION_SECONDS: '599' }, 'KEY_ROTATION_SECONDS: '],
  ])('When %j is given, then the error names the variable', (wrong, message) => {
    expect(() => load(wrong)).toThrow(message);
  });

  it('When a password is wrong, then the error does not have it', () => {
    expect(() => load({ ADMIN_EMAIL: 'boss', ADMIN_PASSWORD: 'pw-1' })).toThrow(/^(?!.*pw-1)/);
  });
});
