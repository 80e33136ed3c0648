import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Session } from './session.ts';

/** A refresh token taken apart; whether it is genuine only its session's key can tell. */
export interface PresentedToken {
  sessionId: string;
  generation: number;
  mac: string;
}

/**
 * `<session id>.<generation>.<mac>`: opaque to clients. The session keeps only the key of the MAC. A used token is genuine and ends the
 * session; an invented one is not, and ends nothing.
 */
export function refreshTokenOf({ session_id, generation, key }: Session): string {
  return `${session_id}.${generation}.${macOf(session_id, generation, key)}`;
}

/** One spelling for each token: what could be written in another way is none. */
const FORM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([1-9]\d{0,8})\.([\w-]{43})$/;

/** `undefined` for what cannot be a refresh token. */
export function parseRefreshToken(token: string): PresentedToken | undefined {
  const [, sessionId, generation, mac] = FORM.exec(token) ?? [];
  if (sessionId === undefined || generation === undefined || mac === undefined) return undefined;
  return { sessionId, generation: Number(generation), mac };
}

/** Whether this session gave out the token, at whatever time. Takes the same time for every wrong MAC. */
export function isGenuine(
  { sessionId, generation, mac }: PresentedToken,
  { session_id, key }: Session,
): boolean {
  const expected = Buffer.from(macOf(session_id, generation, key));
  const given = Buffer.from(mac);
  return sessionId === session_id && given.length === expected.length && timingSafeEqual(given, expected);
}

function macOf(sessionId: string, generation: number, key: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64url'))
    .update(`${sessionId}.${generation}`)
    .digest('base64url');
}
