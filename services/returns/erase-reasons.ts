import { retryOnConflict } from '../shared/dapr/state-store.ts';
import { ERASED_REASON } from './contract.ts';
import type { ReturnStore } from './store/return-store.ts';

const PAGE_SIZE = 100;

/** Erases the texts that a customer wrote. The event of the deletion is redelivered until this succeeds, which may be twice. */
export function createEraseReasons(store: ReturnStore): (customerId: string) => Promise<void> {
  const eraseOne = (returnId: string) =>
    retryOnConflict(async () => {
      const before = await store.load(returnId);
      if (!before || before.value.reason === ERASED_REASON) return;
      await store.save({ ...before.value, reason: ERASED_REASON }, before);
    });
  return async (customerId) => {
    let position: number | null = 0;
    while (position !== null) {
      const page: { ids: string[]; next: number | null } = await store.ofCustomer(
        customerId,
        position,
        PAGE_SIZE,
      );
      for (const returnId of page.ids) await eraseOne(returnId);
      position = page.next;
    }
  };
}
