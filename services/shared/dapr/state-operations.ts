import type { SidecarRequest, SidecarResponse } from './sidecar-call.ts';

/** A write that its ETag guards. With `etag`, the document must have that version. Without `etag`, the document must not exist. */
export type GuardedWrite =
  | {
      op: 'put';
      key: string;
      value: unknown;
      etag?: string | undefined;
      /** The document expires after this time: https://docs.dapr.io/developing-applications/building-blocks/state-management/state-store-ttl/. */
      ttlSeconds?: number | undefined;
    }
  | { op: 'delete'; key: string; etag: string };

/**
 * A change of a document that many writers share. It is applied to the stored version, so it never loses a race. Changes of one
 * document by concurrent writes are saved together.
 */
interface Amendment {
  op: 'amend';
  key: string;
  /**
   * The next version; `value` is undefined if the document does not exist. It may run several times. If it throws, the write fails
   * with that error.
   */
  change: (value: unknown) => unknown;
}

export type StateOperation = GuardedWrite | Amendment;

export const isGuarded = (write: StateOperation): write is GuardedWrite => write.op !== 'amend';

export const JSON_HEADERS = { 'content-type': 'application/json' };
export const STORE = '/v1.0/state/statestore';

export function toRequest(write: GuardedWrite): SidecarRequest {
  if (write.op === 'put')
    return { method: 'POST', path: STORE, headers: JSON_HEADERS, body: JSON.stringify([toOperation(write)]) };
  return {
    method: 'DELETE',
    path: `${STORE}/${encodeURIComponent(write.key)}?concurrency=first-write`,
    headers: { 'if-match': write.etag },
  };
}

export function toTransaction(writes: readonly GuardedWrite[]): SidecarRequest {
  const operations = writes.map((write) => ({
    operation: write.op === 'put' ? 'upsert' : 'delete',
    request: toOperation(write),
  }));
  return {
    method: 'POST',
    path: `${STORE}/transaction`,
    headers: JSON_HEADERS,
    body: JSON.stringify({ operations }),
  };
}

function toOperation(write: GuardedWrite): Record<string, unknown> {
  return {
    key: write.key,
    ...(write.op === 'put' ? { value: write.value } : {}),
    ...(write.op === 'put' && write.ttlSeconds
      ? { metadata: { ttlInSeconds: String(write.ttlSeconds) } }
      : {}),
    // guard: send the ETag of a write
    ...(write.etag ? { etag: write.etag } : {}),
    // guard: first write wins
    options: { concurrency: 'first-write' },
  };
}

/**
 * Whether a response reports a conflict. A single write answers 409. A transaction answers 500, and so does PostgreSQL for an
 * existing document; then only the text shows the conflict.
 */
export function isConflict(response: SidecarResponse): boolean {
  const lost = /etag|no item was updated/i;
  return response.status === 409 || (response.status === 500 && lost.test(response.body.toString()));
}
