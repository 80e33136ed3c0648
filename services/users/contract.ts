import { z } from 'zod';
import { defineEvents } from '../shared/published-events.ts';
import { emailAddress, freeText, id, newAddress, typedAddress } from '../shared/types.ts';

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
/** A refresh token, as a login or a refresh gave it. */
const refreshToken = z.string().min(1).max(512);

/** `POST /api/users/token`, after RFC 6749, section 6. */
export const refreshBody = z.strictObject({
  refresh_token: refreshToken,
  grant_type: z.literal('refresh_token').optional(),
});
/** `POST /api/users/logout`; with a refresh token, the session it belongs to ends too. */
export const logoutBody = z.strictObject({ refresh_token: refreshToken.optional() });
/** `PUT /api/users/:id`; what is left out stays. The owner needs `current_password` for another address or password. */
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
  /** Good for one refresh. */
  refresh_token: z.string(),
  /** Seconds until the session ends where it is not refreshed. */
  refresh_expires_in: z.int(),
});
export type TokenAnswer = z.infer<typeof tokenSchema>;

const endedSession = z.union([
  z.object({ session_id: id }),
  z.object({ user_id: id, epoch: z.int().min(0), except: id.optional() }),
]);

/**
 * `GET /sessions/ended`: the sessions that ended while access tokens of them may still be valid. A token is refused where its
 * `sid` is listed, or its `sub` with an epoch above its `epoch`, unless its `sid` is the exception; and where its `era` (0
 * where it has none) is below the one told here.
 */
export const endedSessionsSchema = z.object({
  items: z.array(endedSession),
  era: z.int().min(0).default(0),
});
export type EndedSessions = z.infer<typeof endedSessionsSchema>;

/** `GET /.well-known/jwks.json` (RFC 7517). */
export const jwksSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) });

/** Grows by one with each change of a user: of two messages, the one with the higher version is the newer. */
const version = z.int().min(1);

/**
 * `user.registered` (always version 1) and `user.updated`: the user as it is now. A version that was soon followed by
 * another may never be told of, except the first, and those that changed the address or the password: they say so.
 */
export const userEventData = z.object({
  user: userSchema,
  version,
  /** The address before this version, where it changed. */
  previous_email: emailAddress.optional(),
  password_changed: z.literal(true).optional(),
});
/** `user.deleted`: the account is gone; what is known of the person is to be erased. */
export const userDeletedData = z.object({ user_id: id, version });

/** Who issues the tokens, and for whom: the `iss` and `aud` claims (RFC 7519). */
export const TOKEN_ISSUER = 'sidecart-users';
export const TOKEN_AUDIENCE = 'sidecart';
/** How they are signed: the `alg` header (RFC 7518). */
export const TOKEN_ALGORITHM = 'ES256';

/** What users publishes. */
export const userEvents = defineEvents('users', {
  'user.registered': userEventData,
  'user.updated': userEventData,
  'user.deleted': userDeletedData,
});
