import { z } from 'zod';
import { id } from '../shared/types.ts';

export const userRole = z.enum(['customer', 'admin']);

export const userSchema = z.object({ user_id: id, email: z.email(), name: z.string(), role: userRole });
export type User = z.infer<typeof userSchema>;

export const userListSchema = z.object({ items: z.array(userSchema), next_cursor: z.string().nullable() });

/** Case and blanks around it do not tell two addresses apart. */
const email = z.string().trim().toLowerCase().max(254).pipe(z.email());
const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must have no control characters');
const password = z.string().min(6).max(200);

/** `POST /api/users/register` */
export const registerBody = z.strictObject({ email, password, name });
/** `POST /api/users/login` */
export const loginBody = z.strictObject({
  email: z.string().trim().toLowerCase().max(254),
  password: z.string().max(200),
});
/** `PUT /api/users/:id`; what is left out stays. */
export const putUserBody = z.strictObject({
  email: email.optional(),
  name: name.optional(),
  password: password.optional(),
});

export const tokenSchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  /** Seconds. */
  expires_in: z.int(),
});

/** Grows by one with each change of a user: of two messages, the one with the higher version is the newer. */
const version = z.int().min(1);

/**
 * `user.registered` (always version 1) and `user.updated`: the user as it is now. A version that was soon followed by
 * another may never be told of, except the first.
 */
export const userEventData = z.object({ user: userSchema, version });
/** `user.deleted`: the account is gone; what is known of the person is to be erased. */
export const userDeletedData = z.object({ user_id: id, version });

/** Who issues the tokens, and for whom: the `iss` and `aud` claims (RFC 7519). */
export const TOKEN_ISSUER = 'sidecart-users';
export const TOKEN_AUDIENCE = 'sidecart';
/** How they are signed: the `alg` header (RFC 7518). */
export const TOKEN_ALGORITHM = 'ES256';

/** What users says; each on the topic of its name. */
export const userEventType = z.enum(['user.registered', 'user.updated', 'user.deleted']);
