import { setTimeout as delay } from 'node:timers/promises';
import type { SidecarRequest, SidecarResponse } from '../shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';

/**
 * The pauses between attempts. For some seconds, the sidecar also picks replicas that have stopped
 * (services/decisions/0073-kubernetes.md).
 */
const RETRY_DELAYS_MS = [50, 100, 200, 400, 800, 800];
/** A call that fails sooner has reached no replica. A slower call may still be in progress. */
const FAST_FAILURE_MS = 500;

/**
 * Invokes a service, and repeats the call if no replica was reached. Only requests that have the same effect twice are repeated.
 * The retries of the sidecar cannot make this distinction.
 *
 * @throws SidecarError if no replica responds
 */
export async function invokeWithRetry(
  sidecar: Pick<Sidecar, 'invoke'>,
  service: string,
  request: SidecarRequest,
): Promise<SidecarResponse> {
  const mayBeRepeated = isIdempotent(request);
  for (let tries = 0; ; tries++) {
    const pause = RETRY_DELAYS_MS[tries];
    const asked = performance.now();
    try {
      return await sidecar.invoke(service, request);
    } catch (error) {
      if (!mayBeRepeated || pause === undefined || performance.now() - asked > FAST_FAILURE_MS) throw error;
      if (request.signal?.aborted) throw error;
    }
    await delay(pause);
  }
}

/** A repeated PUT with an `If-Match` would fail the precondition that the first one met. */
function isIdempotent({ method, headers = {} }: SidecarRequest): boolean {
  if (headers['idempotency-key'] !== undefined) return true;
  return method === 'GET' || (method === 'PUT' && headers['if-match'] === undefined);
}
