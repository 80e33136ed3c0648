import type { Request } from 'express';
import { z } from 'zod';
import { forbidden, ProblemError } from './problem.ts';
import { id as anyId } from '../schemas/types.ts';

/** The caller of a request. The gateway reads it from the access token. */
export interface Caller {
  id: string;
  role: 'customer' | 'admin';
  /** The session that the token belongs to. */
  session?: string | undefined;
}

/**
 * The headers in which the gateway passes the caller and the client's network. The gateway never forwards these headers from
 * clients. A service answers only its sidecar, which sends APP_API_TOKEN.
 */
export const CALLER_ID = 'x-caller-id';
export const CALLER_ROLE = 'x-caller-role';
export const CALLER_SESSION = 'x-caller-session';

/** The client's IPv4 address or IPv6 network. Requests that start inside the system do not have this header. */
export const CLIENT_NETWORK = 'x-client-network';

/** The network of the client. Services may store it as a hash only. */
export const networkOf = (req: Request): string | undefined => req.get(CLIENT_NETWORK);

/** The headers that pass `caller` to a service. */
export function callerHeaders({ id, role, session }: Caller): Record<string, string> {
  return { [CALLER_ID]: id, [CALLER_ROLE]: role, ...(session ? { [CALLER_SESSION]: session } : {}) };
}

const callerSchema = z.object({ id: anyId, role: z.enum(['customer', 'admin']), session: anyId.optional() });

/** @throws ProblemError 401 if the request has no caller */
export function callerOf(req: Request): Caller {
  const parsed = callerSchema.safeParse({
    id: req.get(CALLER_ID),
    role: req.get(CALLER_ROLE),
    session: req.get(CALLER_SESSION),
  });
  if (!parsed.success) throw new ProblemError(401, 'unauthenticated', 'An access token is required.');
  return parsed.data;
}

/** @throws ProblemError 401 or 403 */
export function requireAdmin(req: Request): Caller {
  const caller = callerOf(req);
  if (caller.role !== 'admin') throw forbidden('Only administrators can call this route.');
  return caller;
}

/** Whether the caller may read a resource of `ownerId`. */
export function canRead(caller: Caller, ownerId: string): boolean {
  return caller.role === 'admin' || caller.id === ownerId;
}
