import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { unavailable } from '../shared/http/problem.ts';
import type { Line } from '../shared/util/lines.ts';

/** Puts lines back into the stock, once per return. @throws SidecarError, ProblemError 503 if `inventory` does not */
export type TakeBack = (orderId: string, returnId: string, lines: readonly Line[]) => Promise<void>;

export function createInventoryClient(sidecar: Pick<Sidecar, 'invoke'>): TakeBack {
  return async (orderId, returnId, lines) => {
    const path = `/returns/${orderId}/${returnId}`;
    const body = JSON.stringify({ items: lines });
    const { status } = await sidecar.invoke('inventory', { method: 'PUT', path, body });
    if (status >= 300) throw unavailable();
  };
}
