import pLimit from 'p-limit';
import { operationOf } from '../../services/shared/http/idempotency.ts';
import type { Checked } from './checks/checks.ts';
import { accept, type Journal, type Wanted } from './journal.ts';
import { placeOrder } from './load.ts';
import type { People } from './people.ts';
import type { Shelf } from './shelf.ts';

const LAST_REQUESTS = 30;

/** When all faults are over, the system is as it was: every request succeeds at the first try. */
export async function lastRequests(people: People, journal: Journal, shelf: Shelf): Promise<Checked> {
  const violations: string[] = [];
  for (let number = 0; number < LAST_REQUESTS; number++) {
    const wanted: Wanted = {
      customer: number % people.customers.length,
      key: `last-${number}-${Date.now()}`,
      body: {
        items: [{ product_id: shelf.last, quantity: 1 }],
        payment: { method: 'card', card_token: 'tok_visa' },
      },
    };
    journal.wanted.push(wanted);
    const answer = await placeOrder(people, journal, wanted);
    if (!answer?.ok)
      violations.push(`request ${number + 1} of the last ${LAST_REQUESTS}: ${answer?.status ?? 'no answer'}`);
  }
  return {
    name: 'last requests',
    promise: 'After the last fault every request succeeds at the first try.',
    verified: LAST_REQUESTS,
    violations,
  };
}

/** Who gave up may have an order all the same: its id follows from the key. Nobody was told, and every promise is made to them, too. */
export async function findTaken({ customers }: People, journal: Journal): Promise<void> {
  const limited = pLimit(16);
  const look = async (wanted: Wanted) => {
    const customer = customers[wanted.customer];
    if (!customer) return;
    const id = operationOf(customer.userId, 'place order', wanted.key);
    const answer = await customer.call('GET /api/orders/:id', { params: { id } });
    if (answer.ok) {
      const { order_id, total } = answer.body;
      accept(journal, wanted, { status: 201, order_id, total });
    } else if (answer.status !== 404) throw new Error(`order ${id} was answered with ${answer.status}`);
  };
  await Promise.all(journal.givenUp.map((wanted) => limited(() => look(wanted))));
}
