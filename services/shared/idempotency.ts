import type { Request, Response } from 'express';
import { createHmac } from 'node:crypto';
import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';
import { callerOf, CALLER_ID, networkOf } from './identity.ts';
import type { Logger } from './log.ts';
import { Problem } from './problem.ts';
import { ConflictError } from './sidecar-call.ts';
import type { StateStore } from './state.ts';

/** An answer that can be kept and given again. */
export interface Reply {
  status: number;
  /** It was given before. */
  isRepeated?: boolean;
  headers?: Record<string, string>;
  body?: unknown;
}

/**
 * Carries out `act` and answers with what it gives; for a request that repeats an `Idempotency-Key`, answers what was
 * answered then, with `Idempotent-Replayed: true`
 * (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07).
 *
 * `act` gets the id of the operation: the same for the same caller, key and `what` (and whether there is a key at all). Callers
 * without a token are told apart by their network. A key is good for a day: what `act` remembers beside its own work, it
 * remembers for as long, or asks `nextOperation` (services/decisions/0020-idempotency-keys.md).
 *
 * Whatever it does must be done once for an id, because a crash between its last write and the keeping of the answer, or a
 * second replica, makes it run again. What it throws is not kept: the key may be tried again.
 *
 * @param asked.what the kind of operation, so that a key used for another kind is another key
 * @param asked.request all that the caller wants, as the schemas have parsed it: two spellings of one request are one
 * @param keep `false` where `act` itself knows what it has answered, and tells by `isRepeated`: nothing is kept then
 * @throws Problem 400 for a malformed key, 409 while the first request is being carried out, 422 where the key came with
 *   another request
 */
export type Once = (
  req: Request,
  res: Response,
  asked: { what: string; request: object },
  act: (operation: string, mayBeRepeated: boolean) => Promise<Reply>,
  keep?: boolean,
) => Promise<void>;

interface Kept extends Reply {
  /** Of the request, by its key: without the key nobody can try out what a body (with a password in it) may have been. */
  fingerprint: string;
}

export const KEPT_SECONDS = 24 * 3600;

/** The namespace (RFC 9562, UUIDv5) of operations that derive from a caller's key. */
const OPERATIONS = 'c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e';

/** The id of the operation that a caller's key stands for. */
export const operationOf = (callerId: string, what: string, key: string): string =>
  uuidv5(`${callerId} ${what} ${key}`, OPERATIONS);

/** The id of the operation that a key stands for when that of `operation` was more than a day ago. */
export const nextOperation = (operation: string): string => uuidv5(operation, OPERATIONS);

/** Where the answer is kept. */
export const recordKey = (operation: string): string => `idempotency:${operation}`;

export function idempotency({ state, log }: { state: StateStore; log: Logger }): Once {
  const running = new Set<string>();

  async function carryOut(operation: string, fingerprint: string, act: Parameters<Once>[3]): Promise<Reply> {
    const known = await keptReply(operation, fingerprint);
    if (known) return known;
    const reply = await act(operation, true);
    const value: Kept = { ...reply, fingerprint };
    try {
      await state.write({ op: 'put', key: recordKey(operation), value, ttlSeconds: KEPT_SECONDS });
    } catch (error) {
      if (error instanceof ConflictError) return (await keptReply(operation, fingerprint)) ?? reply;
      // It is done, and done once whatever comes: only the same words cannot be promised.
      log.warn({ err: error }, 'storing the idempotent response failed');
    }
    return reply;
  }

  async function keptReply(operation: string, fingerprint: string): Promise<Reply | undefined> {
    const kept = (await state.get<Kept>(recordKey(operation)))?.value;
    if (!kept) return undefined;
    if (kept.fingerprint !== fingerprint) throw keyReused();
    const { fingerprint: _, ...reply } = kept;
    return { ...reply, isRepeated: true };
  }

  return async (req, res, { what, request }, act, keep = true) => {
    const key = idempotencyKeyOf(req);
    if (key === undefined) return send(res, await act(uuidv7(), false));
    const caller = req.get(CALLER_ID) === undefined ? `anyone ${networkOf(req)}` : callerOf(req).id;
    const operation = operationOf(caller, what, key);
    if (running.has(operation))
      throw new Problem(
        409,
        'idempotency-key-in-use',
        'The first request with this Idempotency-Key is in progress. Try again later.',
        {
          headers: { 'retry-after': '1' },
        },
      );
    running.add(operation);
    try {
      send(res, await (keep ? carryOut(operation, fingerprintOf(request, key), act) : act(operation, true)));
    } finally {
      running.delete(operation);
    }
  };
}

/** The key came with another request before. */
export const keyReused = () =>
  new Problem(
    422,
    'idempotency-key-reused',
    'This Idempotency-Key was used for a different request. Use a new key, such as a UUID, for each request.',
  );

function send(res: Response, { status, headers = {}, body, isRepeated }: Reply): void {
  res.status(status).set('cache-control', 'no-store').set(headers);
  if (isRepeated) res.set('idempotent-replayed', 'true');
  if (body === undefined) res.end();
  else res.json(body);
}

function fingerprintOf(request: object, key: string): string {
  return createHmac('sha256', key).update(canonical(request)).digest('base64url');
}

/** JSON that does not depend on the order in which members were written. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/** A quoted string in the draft, a bare one in common use: both are taken. */
function idempotencyKeyOf(req: Request): string | undefined {
  const given = req.get('idempotency-key');
  if (given === undefined) return undefined;
  const key = given.replace(/^"(.*)"$/, '$1');
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Problem(
      400,
      'invalid-idempotency-key',
      'The Idempotency-Key must have 1 to 255 visible ASCII characters.',
    );
  return key;
}
