import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import type { StateEntry, StateStore } from '../../shared/dapr/state-store.ts';
import type { OrderReturns, ReturnDocument } from '../domain/return.ts';

export interface ReturnStore {
  load: (returnId: string) => Promise<StateEntry<ReturnDocument> | undefined>;
  /** The returns that exist, in the order of the ids. */
  loadMany: (returnIds: readonly string[]) => Promise<ReturnDocument[]>;
  ofOrder: (orderId: string) => Promise<StateEntry<OrderReturns> | undefined>;
  /** Saves a new return, and lists it. @throws ConflictError if another return of the order, or of the lists, was saved first */
  add: (document: ReturnDocument, before: StateEntry<OrderReturns> | undefined) => Promise<void>;
  /** @throws ConflictError if the stored return is not `before` */
  save: (document: ReturnDocument, before: StateEntry<ReturnDocument>) => Promise<void>;
  /** A page of all return ids, newest first. @throws InvalidCursorError */
  page: (cursor: string | undefined, limit: number) => Promise<{ ids: string[]; nextCursor: string | null }>;
  /** Return ids from a position on, oldest first. */
  readForward: (position: number, limit: number) => Promise<{ ids: string[]; next: number | null }>;
  /** The ids of a customer's returns from a position on. */
  ofCustomer: (
    customerId: string,
    position: number,
    limit: number,
  ) => Promise<{ ids: string[]; next: number | null }>;
  /** The position before which every return has ended. Each sweep begins there. */
  loadSweep: () => Promise<StateEntry<Sweep> | undefined>;
  saveSweep: (sweep: Sweep, before: StateEntry<Sweep> | undefined) => Promise<void>;
}

export interface Sweep {
  position: number;
}

const returnKey = (returnId: string) => `return:${returnId}`;
const orderKey = (orderId: string) => `order-returns:${orderId}`;
const SWEEP = 'sweep';

export function createReturnStore(state: StateStore): ReturnStore {
  const all = createPagedIndex(state, 'returns');
  const customerIndex = (customerId: string) => createPagedIndex(state, `customer:${customerId}`);

  return {
    load: (returnId) => state.get<ReturnDocument>(returnKey(returnId)),
    async loadMany(returnIds) {
      const found = await state.getMany<ReturnDocument>(returnIds.map(returnKey));
      return returnIds.flatMap((returnId) => found.get(returnKey(returnId))?.value ?? []);
    },
    ofOrder: (orderId) => state.get<OrderReturns>(orderKey(orderId)),
    async add(document, before) {
      const { return_id, order_id, customer_id } = document;
      const listed: OrderReturns = {
        order_id,
        return_ids: [...(before?.value.return_ids ?? []), return_id],
      };
      await state.write(
        { op: 'put', key: returnKey(return_id), value: document },
        // Its ETag makes one writer of the lines of an order win.
        { op: 'put', key: orderKey(order_id), value: listed, etag: before?.etag },
        ...(await all.append([return_id])),
        ...(await customerIndex(customer_id).append([return_id])),
      );
    },
    save: (document, before) =>
      state.write({ op: 'put', key: returnKey(document.return_id), value: document, etag: before.etag }),
    page: all.page,
    readForward: all.readForward,
    ofCustomer: (customerId, position, limit) => customerIndex(customerId).readForward(position, limit),
    loadSweep: () => state.get<Sweep>(SWEEP),
    saveSweep: (sweep, before) => state.write({ op: 'put', key: SWEEP, value: sweep, etag: before?.etag }),
  };
}
