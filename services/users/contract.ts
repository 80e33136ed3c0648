import { z } from 'zod';
import { id } from '../shared/types.ts';

export const userRole = z.enum(['customer', 'admin']);

export const userSchema = z.object({ user_id: id, email: z.email(), name: z.string(), role: userRole });
export type User = z.infer<typeof userSchema>;

export const userListSchema = z.object({ items: z.array(userSchema), next_cursor: z.string().nullable() });

const email = z.email().max(254);
const name = z.string().trim().min(1).max(200);
const password = z.string().min(6).max(200);

/** `POST /api/users/register` */
export const registerBody = z.strictObject({ email, password, name });
/** `POST /api/users/login` */
export const loginBody = z.strictObject({ email: z.string().max(254), password: z.string().max(200) });
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

/** `user.registered` and `user.updated`: the user as it is now. */
export const userEventData = z.object({ user: userSchema });
/** `user.deleted` */
export const userDeletedData = z.object({ user_id: id });

/** Who issues the tokens, and for whom: the `iss` and `aud` claims (RFC 7519). */
export const TOKEN_ISSUER = 'sidecart-users';
export const TOKEN_AUDIENCE = 'sidecart';
