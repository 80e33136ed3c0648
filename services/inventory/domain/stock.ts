import type { z } from 'zod';
import type { Product, reservationSchema, restockSchema, stockedProductSchema } from '../contract.ts';
import { onePerProduct } from '../../shared/util/lines.ts';

export type StockedProduct = z.infer<typeof stockedProductSchema>;
export type Reservation = z.infer<typeof reservationSchema>;
export type Restock = z.infer<typeof restockSchema>;
export type Line = Reservation['lines'][number];

/** A command for an order. `lines` are the lines of the order, `at` is the time of the decision. */
export interface OrderCommand {
  kind: 'reserve' | 'sell' | 'release';
  order_id: string;
  lines: readonly Line[];
  at: string;
}

/** A command for the sellable lines of a return. */
export interface TakeBackCommand {
  kind: 'take-back';
  order_id: string;
  return_id: string;
  lines: readonly Line[];
}

/** A product of the catalogue. `on_hand` is its initial stock. */
export type NewProduct = Omit<StockedProduct, 'reserved' | 'sold' | 'stocked' | 'revision'>;

export type ProductCommand =
  | (NewProduct & { kind: 'add' })
  | { kind: 'put'; product_id: string; name: string; unit_price: number; currency?: string | undefined }
  | { kind: 'restock'; product_id: string; quantity: number; operation?: string };

export type Command = OrderCommand | TakeBackCommand | ProductCommand;

/** The documents that a command reads, by id. Absent documents do not exist. */
export interface Stock {
  products: ReadonlyMap<string, StockedProduct>;
  reservations: ReadonlyMap<string, Reservation>;
  restocks: ReadonlyMap<string, Restock>;
}

/** The documents that a command changes, after the change. */
export interface Changes {
  products: StockedProduct[];
  reservation?: Reservation;
  restock?: Restock;
}

const UNCHANGED: Changes = { products: [] };
export const DEFAULT_THRESHOLD = 5;

/** Applies a command to the stock, completely or not at all. A command that was applied before changes nothing. */
export function applyCommand(stock: Stock, command: Command): Changes {
  switch (command.kind) {
    case 'reserve':
      return reserve(stock, command);
    case 'sell':
      return sell(stock, command);
    case 'release':
      return release(stock, command);
    case 'take-back':
      return takeBack(stock, command);
    case 'add':
    case 'put':
    case 'restock':
      return editProduct(stock, command);
  }
}

/** The product in the API. */
export function toProduct(stocked: StockedProduct): Product {
  const { product_id, name, unit_price, currency, on_hand, reserved } = stocked;
  return { product_id, name, unit_price, currency, on_hand, reserved, available: available(stocked) };
}

const available = (product: StockedProduct) => product.on_hand - product.reserved;

function reserve({ products, reservations }: Stock, { order_id, lines, at }: OrderCommand): Changes {
  if (reservations.has(order_id)) return UNCHANGED;
  const requestedLines = onePerProduct(lines);
  const shortages = requestedLines.flatMap(({ product_id, quantity }) => {
    const product = products.get(product_id);
    const left = product ? available(product) : 0;
    return left < quantity ? [`${product_id} (${quantity} wanted, ${left} available)`] : [];
  });
  if (shortages.length > 0)
    return rejectReservation('REJECTED', order_id, at, `out of stock: ${shortages.join(', ')}`);
  return {
    reservation: { order_id, status: 'RESERVED', lines: requestedLines, time: at },
    products: adjustStock(products, requestedLines, (product, quantity) => ({
      reserved: product.reserved + quantity,
    })),
  };
}

function sell({ products, reservations }: Stock, { order_id, at }: OrderCommand): Changes {
  const reservation = reservations.get(order_id);
  if (reservation?.status !== 'RESERVED') return UNCHANGED;
  const after = adjustStock(products, reservation.lines, (product, quantity) => ({
    on_hand: product.on_hand - quantity,
    reserved: product.reserved - quantity,
    sold: product.sold + quantity,
  }));
  // A sale does not change `available`. Only `on_hand` falls, once.
  const low = after.filter(({ product_id, on_hand, low_stock_threshold: threshold }) => {
    const before = products.get(product_id)?.on_hand ?? 0;
    return before > threshold && on_hand <= threshold;
  });
  const sale = {
    time: at,
    low: low.map((product) => ({ product_id: product.product_id, available: available(product) })),
  };
  return { reservation: { ...reservation, status: 'SOLD', sale }, products: after };
}

function release({ products, reservations }: Stock, { order_id, at }: OrderCommand): Changes {
  const reservation = reservations.get(order_id);
  // The order ended before `order.created` arrived. That event must find this reservation, and reserve nothing.
  if (!reservation)
    return rejectReservation('RELEASED', order_id, at, 'the order ended before its stock was reserved');
  const released: Reservation = { ...reservation, status: 'RELEASED' };
  switch (reservation.status) {
    case 'RESERVED':
      return {
        reservation: released,
        products: adjustStock(products, reservation.lines, (product, quantity) => ({
          reserved: product.reserved - quantity,
        })),
      };
    case 'SOLD':
      return {
        reservation: released,
        products: adjustStock(products, reservation.lines, (product, quantity) => ({
          on_hand: product.on_hand + quantity,
          sold: product.sold - quantity,
        })),
      };
    case 'REJECTED':
    case 'RELEASED':
      return UNCHANGED;
  }
}

/**
 * Puts sold lines back into the stock, once per return, and never more than is sold. A product that is not in the stock any more
 * is left out.
 */
function takeBack(
  { products, reservations }: Stock,
  { order_id, return_id, lines }: TakeBackCommand,
): Changes {
  const reservation = reservations.get(order_id);
  const { returned = [] } = reservation ?? {};
  if (!reservation || returned.includes(return_id)) return UNCHANGED;
  const known = onePerProduct(lines).filter(({ product_id }) => products.has(product_id));
  return {
    reservation: { ...reservation, returned: [...returned, return_id] },
    products: adjustStock(products, known, ({ on_hand, sold }, quantity) => {
      const back = Math.min(quantity, sold);
      return { on_hand: on_hand + back, sold: sold - back };
    }),
  };
}

function editProduct({ products, restocks }: Stock, command: ProductCommand): Changes {
  const product = products.get(command.product_id);
  switch (command.kind) {
    case 'add': {
      if (product) return UNCHANGED;
      const { kind: _, ...added } = command;
      return { products: [{ ...added, reserved: 0, sold: 0, stocked: added.on_hand, revision: 1 }] };
    }
    case 'put': {
      const { product_id, name, unit_price, currency } = command;
      const nothing = { on_hand: 0, reserved: 0, sold: 0, stocked: 0, revision: 0 };
      const kept = product ?? {
        ...nothing,
        product_id,
        currency: 'EUR',
        low_stock_threshold: DEFAULT_THRESHOLD,
      };
      return {
        products: [withNextRevision(kept, { name, unit_price, currency: currency ?? kept.currency })],
      };
    }
    case 'restock': {
      const { operation, product_id, quantity } = command;
      if (!product || (operation !== undefined && restocks.has(operation))) return UNCHANGED;
      const { on_hand, stocked } = product;
      return {
        products: [withNextRevision(product, { on_hand: on_hand + quantity, stocked: stocked + quantity })],
        ...(operation === undefined ? {} : { restock: { operation, product_id, quantity } }),
      };
    }
  }
}

function withNextRevision<Kept extends { revision: number }, More>(
  product: Kept,
  changes: More,
): Kept & More {
  return { ...product, ...changes, revision: product.revision + 1 };
}

function rejectReservation(
  status: 'REJECTED' | 'RELEASED',
  order_id: string,
  time: string,
  reason: string,
): Changes {
  return { reservation: { order_id, status, lines: [], time, reason }, products: [] };
}

/** @throws Error for a line whose product is not in the stock */
function adjustStock(
  products: Stock['products'],
  lines: readonly Line[],
  change: (product: StockedProduct, quantity: number) => Partial<StockedProduct>,
): StockedProduct[] {
  return lines.map(({ product_id, quantity }) => {
    const product = products.get(product_id);
    if (!product) throw new Error(`${product_id} is reserved, but missing in the order`);
    return withNextRevision(product, change(product, quantity));
  });
}
