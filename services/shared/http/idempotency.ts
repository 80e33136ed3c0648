import type { Request, Response } from 'express';
import { createHmac } from 'node:crypto';
import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { callerOf, CALLER_ID, networkOf } from './caller.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ProblemError } from './problem.ts';
import { ConflictError } from '../dapr/sidecar-call.ts';
import type { StateStore } from '../dapr/state-store.ts';

/** A response that can be stored and replayed. */
export interface Reply {
  status: number;
  /** Whether this is a replay. */
  replayed?: boolean;
  headers?: Record<string, string>;
  body?: unknown;
}

/**
 * Executes `execute` and sends its reply. A request that repeats an `Idempotency-Key` gets the stored reply with
 * `Idempotent-Replayed: true` (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07).
 *
 * `execute` receives the id of the operation, which depends on the caller, the key and `name`, and whether the request has a key.
 * Callers without a token are distinguished by their network. A key is valid for a day. `execute` must remember its own results
 * for as long, or use `nextOperation` (services/decisions/0020-idempotency-keys.md).
 *
 * `execute` must be idempotent per id, because a crash before the reply is stored, or a second replica, executes it again. Errors
 * are not stored, so the client may retry with the same key.
 *
 * @param asked.name the kind of operation; the same key with another kind is a different key
 * @param asked.request the parsed request, so that two spellings of one request are equal
 * @param storeResponse `false` if `execute` recognizes replays itself and sets `replayed`; then no reply is stored
 * @throws ProblemError 400 for a malformed key, 409 while the first request is in progress, 422 if the key was used for a different
 *   request
 */
export type WithIdempotency = (
  req: Request,
  res: Response,
  asked: { name: string; request: object },
  execute: (operation: string, hasIdempotencyKey: boolean) => Promise<Reply>,
  storeResponse?: boolean,
) => Promise<void>;

/** A stored reply. */
export const storedResponseSchema = z.object({
  status: z.int().min(200).max(299),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.unknown(),
  fingerprint: z
    .string()
    .describe(
      'HMAC-SHA-256 of the request as JSON with sorted members, with the Idempotency-Key as its key, as base64url without padding. `x-operation` of the route lists the members.',
    ),
});

interface StoredResponse extends Reply {
  /** HMAC of the request with the key. Without the key, nobody can guess the body, which may contain a password. */
  fingerprint: string;
}

export const IDEMPOTENCY_TTL_SECONDS = 24 * 3600;

/** The UUIDv5 namespace (RFC 9562) of operation ids. */
const OPERATIONS = 'c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e';

/** The operation id of a caller's key. */
export const operationOf = (callerId: string, name: string, key: string): string =>
  uuidv5(`${callerId} ${name} ${key}`, OPERATIONS);

/** The operation id of a key that is used again after `operation` has expired. */
export const nextOperation = (operation: string): string => uuidv5(operation, OPERATIONS);

/** The state key of the stored reply. */
export const responseKey = (operation: string): string => `idempotency:${operation}`;

export function createIdempotency({ state, log }: { state: StateStore; log: Logger }): WithIdempotency {
  const running = new Set<string>();

  async function executeOnce(
    operation: string,
    fingerprint: string,
    execute: Parameters<WithIdempotency>[3],
  ): Promise<Reply> {
    const known = await findStoredResponse(operation, fingerprint);
    if (known) return known;
    const reply = await execute(operation, true);
    const value: StoredResponse = { ...reply, fingerprint };
    try {
      await state.write({
        op: 'put',
        key: responseKey(operation),
        value,
        ttlSeconds: IDEMPOTENCY_TTL_SECONDS,
      });
    } catch (error) {
      if (error instanceof ConflictError) return (await findStoredResponse(operation, fingerprint)) ?? reply;
      // The operation is done. Only the replay of its reply may differ.
      log.warn({ err: error }, 'storing the idempotent response failed');
    }
    return reply;
  }

  async function findStoredResponse(operation: string, fingerprint: string): Promise<Reply | undefined> {
    const stored = (await state.get<StoredResponse>(responseKey(operation)))?.value;
    if (!stored) return undefined;
    if (stored.fingerprint !== fingerprint) throw idempotencyKeyReused();
    const { fingerprint: _, ...reply } = stored;
    return { ...reply, replayed: true };
  }

  return async (req, res, { name, request }, execute, storeResponse = true) => {
    const key = idempotencyKeyOf(req);
    if (key === undefined) return send(res, await execute(uuidv7(), false));
    const caller = req.get(CALLER_ID) === undefined ? `anyone ${networkOf(req)}` : callerOf(req).id;
    const operation = operationOf(caller, name, key);
    if (running.has(operation))
      throw new ProblemError(
        409,
        'idempotency-key-in-use',
        'The first request with this Idempotency-Key is in progress. Try again later.',
        {
          headers: { 'retry-after': '1' },
        },
      );
    running.add(operation);
    try {
      send(
        res,
        await (storeResponse
          ? executeOnce(operation, fingerprintOf(request, key), execute)
          : execute(operation, true)),
      );
    } finally {
      running.delete(operation);
    }
  };
}

/** The key was used for a different request before. */
export const idempotencyKeyReused = () =>
  new ProblemError(
    422,
    'idempotency-key-reused',
    'This Idempotency-Key was used for a different request. Use a new key, such as a UUID, for each request.',
  );

function send(res: Response, { status, headers = {}, body, replayed }: Reply): void {
  res.status(status).set('cache-control', 'no-store').set(headers);
  if (replayed) res.set('idempotent-replayed', 'true');
  if (body === undefined) res.end();
  else res.json(body);
}

function fingerprintOf(request: object, key: string): string {
  return createHmac('sha256', key).update(canonical(request)).digest('base64url');
}

/** JSON with sorted members. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/** The key of a request, with or without quotes. The draft requires quotes, most clients send none. */
function idempotencyKeyOf(req: Request): string | undefined {
  const given = req.get('idempotency-key');
  if (given === undefined) return undefined;
  const key = given.replace(/^"(.*)"$/, '$1');
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new ProblemError(
      400,
      'invalid-idempotency-key',
      'The Idempotency-Key must have 1 to 255 visible ASCII characters.',
    );
  return key;
}
