import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { emailAddress, freeText, id, newAddress, typedAddress } from '../shared/schemas/types.ts';

export const userRole = z.enum(['customer', 'admin']);

export const userSchema = z.object({ user_id: id, email: emailAddress, name: z.string(), role: userRole });
export type User = z.infer<typeof userSchema>;

export const userListSchema = z.object({ items: z.array(userSchema), next_cursor: z.string().nullable() });

const name = freeText(200);
const password = z.string().min(6).max(200);

/** `POST /api/users/register` */
export const registerBody = z.strictObject({ email: newAddress, password, name });
/** `POST /api/users/login` */
export const loginBody = z.strictObject({
  email: typedAddress,
  password: z.string().max(200),
});
/** A refresh token from a login or a refresh. */
const refreshToken = z.string().min(1).max(512);

/** `POST /api/users/token` (RFC 6749, section 6) */
export const refreshBody = z.strictObject({
  refresh_token: refreshToken,
  grant_type: z.literal('refresh_token').optional(),
});
/** `POST /api/users/logout`. With a refresh token, its session ends as well. */
export const logoutBody = z.strictObject({ refresh_token: refreshToken.optional() });
/** `PUT /api/users/:id`. Absent fields stay. The owner needs `current_password` to change the address or the password. */
export const putUserBody = z.strictObject({
  email: newAddress.optional(),
  name: name.optional(),
  password: password.optional(),
  current_password: z.string().max(200).optional(),
});

export const tokenSchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  /** Seconds. */
  expires_in: z.int(),
  /** Valid for one refresh. */
  refresh_token: z.string(),
  /** Seconds until the session ends without a refresh. */
  refresh_expires_in: z.int(),
});
export type TokenAnswer = z.infer<typeof tokenSchema>;

const endedSession = z.union([
  z.object({ session_id: id }),
  z.object({ user_id: id, token_version: z.int().min(0), except: id.optional() }),
]);

/**
 * `GET /sessions/revoked`: the ended sessions whose access tokens may still be valid. Gateways reject a token if its `sid` is
 * listed. They also reject it if its `sub` is listed with a `token_version` above the token's, unless its `sid` is the exception.
 * Tokens with an `era` (default 0) below this one are rejected too.
 */
export const revokedSessionsSchema = z.object({
  items: z.array(endedSession),
  era: z.int().min(0).default(0),
});
export type RevokedSessions = z.infer<typeof revokedSessionsSchema>;

/** `GET /.well-known/jwks.json` (RFC 7517). */
export const jwksSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) });

/** The version of a user. Each change increments it, so that receivers can ignore older events. */
const version = z.int().min(1);

/**
 * `user.registered` (always version 1) and `user.updated`: the current user. Intermediate versions may not be published,
 * except the first, and changes of the address or the password.
 */
export const userEventData = z.object({
  user: userSchema,
  version,
  /** The address before this version, if it has changed. */
  previous_email: emailAddress.optional(),
  password_changed: z.literal(true).optional(),
});
/** `user.deleted`: the account is deleted, and personal data of the user must be erased. */
export const userDeletedData = z.object({ user_id: id, version });

/** The `iss` and `aud` claims of the tokens (RFC 7519). */
export const TOKEN_ISSUER = 'sidecart-users';
export const TOKEN_AUDIENCE = 'sidecart';
/** The `alg` header of the tokens (RFC 7518). */
export const TOKEN_ALGORITHM = 'ES256';

/** The events that `users` publishes. */
export const userEvents = defineEvents('users', {
  'user.registered': userEventData,
  'user.updated': userEventData,
  'user.deleted': userDeletedData,
});
