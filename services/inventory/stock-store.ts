import { groupCommit } from '../shared/group-commit.ts';
import { pagedIndex } from '../shared/paged-index.ts';
import { retryOnConflict, type StateStore, type Stored, type Write } from '../shared/state.ts';
import type { Product } from './contract.ts';
import { applyCommand, toProduct } from './stock.ts';
import type { Command, OrderCommand, ProductCommand, Reservation, StockedProduct } from './stock.ts';

/** The document that a command is about, before and after it. */
export interface Step<Document> {
  before: Document | undefined;
  after: Document | undefined;
}

export interface StockStore {
  /** Products in the order of `ids`, without those that do not exist. */
  products: (ids: readonly string[]) => Promise<Product[]>;
  /** The newest product first. @throws Problem 400 for a cursor that this list did not give */
  list: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ items: Product[]; next_cursor: string | null }>;
  /** @throws Error where the command cannot be applied; others that were committed with it are not touched by that */
  applyToOrder: (command: OrderCommand) => Promise<Step<Reservation>>;
  applyToProduct: (command: ProductCommand) => Promise<Step<StockedProduct>>;
}

type Outcome = Step<Reservation | StockedProduct> | { error: unknown };

const productKey = (id: string) => `product:${id}`;
const reservationKey = (orderId: string) => `reservation:${orderId}`;

export function stockStore(state: StateStore): StockStore {
  const index = pagedIndex(state, 'products');
  // Whatever changes stock goes through here: one read and one transaction for all that waits at the time.
  const commit = groupCommit<Command, Outcome>((commands) => retryOnConflict(() => commitOnce(commands)));

  async function commitOnce(commands: Command[]): Promise<Outcome[]> {
    const read = await state.getMany<StockedProduct & Reservation>([...new Set(commands.flatMap(keysOf))]);
    const products = new Map<string, StockedProduct>();
    const reservations = new Map<string, Reservation>();
    for (const [key, { value }] of read)
      if (isProductKey(key)) products.set(value.product_id, value);
      else reservations.set(value.order_id, value);
    const changed = new Map<string, unknown>();

    /** One after the other, each on what those before it left. */
    function applyNext(command: Command): Outcome {
      const documentOf = () =>
        isOrderCommand(command) ? reservations.get(command.order_id) : products.get(command.product_id);
      const before = documentOf();
      const changes = applyCommand({ products, reservations }, command);
      for (const product of changes.products) {
        products.set(product.product_id, product);
        changed.set(productKey(product.product_id), product);
      }
      if (changes.reservation) {
        reservations.set(changes.reservation.order_id, changes.reservation);
        changed.set(reservationKey(changes.reservation.order_id), changes.reservation);
      }
      return { before, after: documentOf() };
    }

    const outcomes = commands.map((command) => {
      try {
        return applyNext(command);
      } catch (error) {
        return { error };
      }
    });
    await state.write(...(await writesOf(changed, read)));
    return outcomes;
  }

  async function writesOf(
    changed: ReadonlyMap<string, unknown>,
    read: ReadonlyMap<string, Stored<unknown>>,
  ): Promise<Write[]> {
    const writes = [...changed].map(([key, value]) => ({
      op: 'put' as const,
      key,
      value,
      etag: read.get(key)?.etag,
    }));
    const created = writes.filter(({ key, etag }) => !etag && isProductKey(key));
    if (created.length === 0) return writes;
    const ids = created.map(({ key }) => key.slice(productKey('').length));
    return [...writes, ...(await index.append(ids))];
  }

  async function readProducts(ids: readonly string[]): Promise<Product[]> {
    const found = await state.getMany<StockedProduct>(ids.map(productKey));
    return ids.flatMap((id) => {
      const stored = found.get(productKey(id));
      return stored ? [toProduct(stored.value)] : [];
    });
  }

  async function apply<Document>(command: Command): Promise<Step<Document>> {
    const outcome = await commit(command);
    if ('error' in outcome) throw outcome.error;
    return outcome as Step<Document>;
  }

  return {
    products: readProducts,
    async list(cursor, limit) {
      const { ids, nextCursor } = await index.page(cursor, limit);
      return { items: await readProducts(ids), next_cursor: nextCursor };
    },
    applyToOrder: (command) => apply<Reservation>(command),
    applyToProduct: (command) => apply<StockedProduct>(command),
  };
}

const isOrderCommand = (command: Command): command is OrderCommand => 'order_id' in command;
const isProductKey = (key: string) => key.startsWith(productKey(''));

function keysOf(command: Command): string[] {
  if (!isOrderCommand(command)) return [productKey(command.product_id)];
  const { order_id, lines } = command;
  return [reservationKey(order_id), ...lines.map(({ product_id }) => productKey(product_id))];
}
