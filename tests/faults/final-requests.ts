import pLimit from 'p-limit';
import { operationOf } from '../../services/shared/http/idempotency.ts';
import type { CheckResult } from './checks/checks.ts';
import { recordAccepted, type Journal, type OrderRequest } from './journal.ts';
import { placeOrder } from './load.ts';
import type { Users } from './users.ts';
import type { TestProducts } from './test-products.ts';

const FINAL_REQUESTS = 30;

/** After all faults, every request has to succeed at the first try. */
export async function sendFinalRequests(
  users: Users,
  journal: Journal,
  products: TestProducts,
): Promise<CheckResult> {
  const violations: string[] = [];
  for (let number = 0; number < FINAL_REQUESTS; number++) {
    const request: OrderRequest = {
      customer: number % users.customers.length,
      key: `final-${number}-${Date.now()}`,
      body: {
        items: [{ product_id: products.last, quantity: 1 }],
        payment: { method: 'card', card_token: 'tok_visa' },
      },
    };
    journal.requestedOrders.push(request);
    const response = await placeOrder(users, journal, request);
    if (!response?.ok)
      violations.push(
        `request ${number + 1} of the final ${FINAL_REQUESTS}: ${response?.status ?? 'no response'}`,
      );
  }
  return {
    name: 'final requests',
    promise: 'After the last fault every request succeeds at the first try.',
    verified: FINAL_REQUESTS,
    violations,
  };
}

/** Finds the orders of abandoned requests by the id that follows from the key. Every promise applies to them, too. */
export async function findAbandonedOrders({ customers }: Users, journal: Journal): Promise<void> {
  const limited = pLimit(16);
  const findOrder = async (request: OrderRequest) => {
    const customer = customers[request.customer];
    if (!customer) return;
    const id = operationOf(customer.userId, 'place order', request.key);
    const response = await customer.call('GET /api/orders/:id', { params: { id } });
    if (response.ok) {
      const { order_id, total } = response.body;
      recordAccepted(journal, request, { status: 201, order_id, total });
    } else if (response.status !== 404) throw new Error(`reading order ${id} returned ${response.status}`);
  };
  await Promise.all(journal.abandoned.map((request) => limited(() => findOrder(request))));
}
