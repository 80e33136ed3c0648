import { createClient, type Client } from '../../services/gateway/client.ts';
import type { Admin } from '../../deploy/local/infrastructure.ts';
import { login, register, type Caller } from '../support/shop.ts';

/** What the shop sells in a run: one product that everybody wants, and others. */
export const HOT = 'hot';
export const PRODUCTS = Array.from({ length: 30 }, (_, number) => `product-${number}`);
export const UNIT_PRICE = 1_290;

/** What only the last requests of a run want: never sold out. */
export const TAIL = 'tail';

/** So much of each that some are sold out and others are not. */
const ON_HAND: Readonly<Record<string, number>> = { [HOT]: 1_500, [TAIL]: 100_000 };

export const onHandAtFirst = (product_id: string): number => ON_HAND[product_id] ?? 500;

/** The catalogue that the system starts with. */
export function catalogue() {
  return [HOT, TAIL, ...PRODUCTS].map((product_id) => ({
    product_id,
    name: `Product ${product_id}`,
    unit_price: UNIT_PRICE,
    currency: 'EUR',
    on_hand: onHandAtFirst(product_id),
  }));
}

/** Who is there: the customers, and an administrator. */
export interface People {
  admin: Client;
  customers: Caller[];
  close: () => Promise<void>;
}

export async function letIn(api: string, admin: Admin, customers: number): Promise<People> {
  const nobody = createClient(api, undefined, { connections: 64 });
  const accounts = await Promise.all(
    Array.from({ length: customers }, async () => {
      const { email, password } = await register(nobody);
      return login(api, email, password);
    }),
  );
  const administrator = await createClient(api, undefined, { connections: 32 }).logIn(admin);
  return {
    admin: administrator,
    customers: accounts,
    async close() {
      await Promise.all(
        [nobody, administrator, ...accounts.map(({ call }) => call)].map((one) => one.close()),
      );
    },
  };
}
