import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Session } from './session.ts';

/** The parts of a refresh token. Only the key of its session shows whether it is genuine. */
export interface PresentedToken {
  sessionId: string;
  generation: number;
  mac: string;
}

/**
 * A refresh token is `<session id>.<generation>.<mac>`, opaque to clients. The session stores only the key of the MAC. A
 * used token is genuine and ends its session. An invented token is not genuine and ends nothing.
 */
export function refreshTokenOf({ session_id, generation, key }: Session): string {
  return `${session_id}.${generation}.${macOf(session_id, generation, key)}`;
}

/** The only accepted spelling of a token. */
const FORM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([1-9]\d{0,8})\.([\w-]{43})$/;

/** Parses a refresh token; undefined if the form is wrong. */
export function parseRefreshToken(token: string): PresentedToken | undefined {
  const [, sessionId, generation, mac] = FORM.exec(token) ?? [];
  if (sessionId === undefined || generation === undefined || mac === undefined) return undefined;
  return { sessionId, generation: Number(generation), mac };
}

/** Whether this session has issued the token. The comparison takes constant time. */
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
