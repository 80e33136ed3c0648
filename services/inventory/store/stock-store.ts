import { createBatcher } from '../../shared/util/batcher.ts';
import { IDEMPOTENCY_TTL_SECONDS, idempotencyKeyReused } from '../../shared/http/idempotency.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import { createRecallingStore } from '../../shared/dapr/recall.ts';
import {
  retryOnConflict,
  type StateStore,
  type StateEntry,
  type StateOperation,
} from '../../shared/dapr/state-store.ts';
import type { Product } from '../contract.ts';
import { applyCommand, toProduct } from '../domain/stock.ts';
import type {
  Command,
  OrderCommand,
  ProductCommand,
  Reservation,
  Restock,
  StockedProduct,
  TakeBackCommand,
} from '../domain/stock.ts';

/** The document that a command changes, before and after the command. */
export interface ChangeResult<One> {
  before: One | undefined;
  after: One | undefined;
}

export interface StockStore {
  product: (id: string) => Promise<StockedProduct | undefined>;
  /** The products in the order of `ids`. Unknown ids are omitted. */
  products: (ids: readonly string[]) => Promise<Product[]>;
  /** A page of products, newest first. @throws InvalidCursorError */
  list: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ items: Product[]; nextCursor: string | null }>;
  /** Like `list`, with the threshold of each product. */
  listStocked: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ items: StockedProduct[]; nextCursor: string | null }>;
  /** @throws Error if the command cannot be applied; other commands of the batch are not affected */
  applyToOrder: (command: OrderCommand | TakeBackCommand) => Promise<ChangeResult<Reservation>>;
  /** @param precondition checks the product before the change; if it throws, nothing changes */
  applyToProduct: (
    command: ProductCommand,
    precondition?: (before: StockedProduct | undefined) => void,
  ) => Promise<ChangeResult<StockedProduct>>;
}

type Outcome = ChangeResult<Reservation | StockedProduct> | { error: unknown };

const productKey = (id: string) => `product:${id}`;
const reservationKey = (orderId: string) => `reservation:${orderId}`;
const restockKey = (operation: string) => `restock:${operation}`;

interface PendingCommand {
  command: Command;
  precondition?: ((before: StockedProduct | undefined) => void) | undefined;
}

type Document = StockedProduct | Reservation | Restock;

export function createStockStore(stored: StateStore): StockStore {
  const state = createRecallingStore(stored);
  const index = createPagedIndex(state, 'products');
  // Every change of stock passes here: at most one read and one transaction per batch of commands.
  const commit = createBatcher<PendingCommand, Outcome>((batch) => {
    let attempts = 0;
    return retryOnConflict(() => commitOnce(batch, attempts++ === 0));
  });

  /** @param mayAssume whether to decide on what this process knows, instead of reading all documents */
  async function commitOnce(batch: PendingCommand[], mayAssume: boolean): Promise<Outcome[]> {
    const keys = [...new Set(batch.flatMap(({ command }) => keysOf(command)))];
    // A new order has no reservation.
    const absent = new Set(mayAssume ? batch.flatMap(({ command }) => newReservationOf(command)) : []);
    const needed = keys.filter((key) => !absent.has(key));
    const recalled = mayAssume ? recall(needed) : undefined;
    const known = recalled ?? (await state.getMany<Document>(needed));
    const { changed, outcomes } = decideAll(batch, known);
    // Only a save proves that an assumption was right.
    const assumed = recalled ? keys : [...absent];
    if (assumed.some((key) => !changed.has(key))) return commitOnce(batch, false);
    await state.write(...(await writesOf(changed, known)));
    return outcomes;
  }

  /** The versions that this process read last; undefined if it does not know one. */
  function recall(keys: readonly string[]): Map<string, StateEntry<Document>> | undefined {
    const known = new Map<string, StateEntry<Document>>();
    for (const key of keys) {
      const entry = state.recall<Document>(key);
      if (!entry) return undefined;
      known.set(key, entry);
    }
    return known;
  }

  function decideAll(batch: PendingCommand[], known: ReadonlyMap<string, StateEntry<Document>>) {
    const products = new Map<string, StockedProduct>();
    const reservations = new Map<string, Reservation>();
    const restocks = new Map<string, Restock>();
    for (const { value } of known.values())
      if ('order_id' in value) reservations.set(value.order_id, value);
      else if ('operation' in value) restocks.set(value.operation, value);
      else products.set(value.product_id, value);
    const changed = new Map<string, unknown>();

    /** Applies the commands in order, each to the result of the previous ones. */
    function applyNext({ command, precondition }: PendingCommand): Outcome {
      const documentOf = () =>
        isOrderCommand(command) ? reservations.get(command.order_id) : products.get(command.product_id);
      const before = documentOf();
      if (precondition && !isOrderCommand(command)) precondition(products.get(command.product_id));
      if (command.kind === 'restock' && command.operation !== undefined)
        assertSameRestock(command, restocks.get(command.operation));
      const changes = applyCommand({ products, reservations, restocks }, command);
      for (const product of changes.products) {
        products.set(product.product_id, product);
        changed.set(productKey(product.product_id), product);
      }
      if (changes.reservation) {
        reservations.set(changes.reservation.order_id, changes.reservation);
        changed.set(reservationKey(changes.reservation.order_id), changes.reservation);
      }
      if (changes.restock) {
        restocks.set(changes.restock.operation, changes.restock);
        changed.set(restockKey(changes.restock.operation), changes.restock);
      }
      return { before, after: documentOf() };
    }

    const outcomes = batch.map((one) => {
      try {
        return applyNext(one);
      } catch (error) {
        return { error };
      }
    });
    return { changed, outcomes };
  }

  async function writesOf(
    changed: ReadonlyMap<string, unknown>,
    read: ReadonlyMap<string, StateEntry<unknown>>,
  ): Promise<StateOperation[]> {
    const writes = [...changed].map(([key, value]) => ({
      op: 'put' as const,
      key,
      value,
      etag: read.get(key)?.etag,
      // As long as the idempotency key. After that, the same key is a new restock.
      ttlSeconds: key.startsWith(restockKey('')) ? IDEMPOTENCY_TTL_SECONDS : undefined,
    }));
    const created = writes.filter(({ key, etag }) => !etag && isProductKey(key));
    if (created.length === 0) return writes;
    const ids = created.map(({ key }) => key.slice(productKey('').length));
    return [...writes, ...(await index.append(ids))];
  }

  async function readProducts(ids: readonly string[]): Promise<StockedProduct[]> {
    const found = await state.getMany<StockedProduct>(ids.map(productKey));
    return ids.flatMap((id) => found.get(productKey(id))?.value ?? []);
  }

  async function listStocked(cursor: string | undefined, limit: number) {
    const { ids, nextCursor } = await index.page(cursor, limit);
    return { items: await readProducts(ids), nextCursor };
  }

  async function apply<One>(pending: PendingCommand): Promise<ChangeResult<One>> {
    const outcome = await commit(pending);
    if ('error' in outcome) throw outcome.error;
    return outcome as ChangeResult<One>;
  }

  return {
    product: async (id) => (await state.get<StockedProduct>(productKey(id)))?.value,
    products: async (ids) => (await readProducts(ids)).map(toProduct),
    async list(cursor, limit) {
      const { items, nextCursor } = await listStocked(cursor, limit);
      return { items: items.map(toProduct), nextCursor };
    },
    listStocked,
    applyToOrder: (command) => apply<Reservation>({ command }),
    applyToProduct: (command, precondition) => apply<StockedProduct>({ command, precondition }),
  };
}

/** @throws ProblemError 422 if the operation was a different restock */
function assertSameRestock(
  { product_id, quantity }: Omit<Restock, 'operation'>,
  done: Restock | undefined,
): void {
  if (done && (done.product_id !== product_id || done.quantity !== quantity)) throw idempotencyKeyReused();
}

const isOrderCommand = (command: Command): command is OrderCommand | TakeBackCommand => 'order_id' in command;
const isProductKey = (key: string) => key.startsWith(productKey(''));

const newReservationOf = (command: Command) =>
  command.kind === 'reserve' ? [reservationKey(command.order_id)] : [];

function keysOf(command: Command): string[] {
  if (!isOrderCommand(command))
    return [
      productKey(command.product_id),
      ...(command.kind === 'restock' && command.operation !== undefined
        ? [restockKey(command.operation)]
        : []),
    ];
  const { order_id, lines } = command;
  return [reservationKey(order_id), ...lines.map(({ product_id }) => productKey(product_id))];
}
