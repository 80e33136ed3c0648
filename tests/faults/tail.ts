import { setTimeout as delay } from 'node:timers/promises';
import type { Checked } from './checks/checks.ts';
import { accept, type Journal, type Wanted } from './journal.ts';
import { sendOrder } from './load.ts';
import { TAIL, type People } from './shop-floor.ts';

/** After what was stopped is up again, before the last requests: what a platform's probes would take. Milliseconds. */
const SETTLES_IN = 15_000;
const LAST_REQUESTS = 30;

/** When all faults are over, the system is as it was: every request succeeds at the first try. */
export async function tail(people: People, journal: Journal, signal: AbortSignal): Promise<Checked> {
  await delay(SETTLES_IN, undefined, { signal });
  const violations: string[] = [];
  for (let number = 0; number < LAST_REQUESTS; number++) {
    const customer = number % people.customers.length;
    const wanted: Wanted = {
      customer,
      key: `tail-${number}-${Date.now()}`,
      body: {
        items: [{ product_id: TAIL, quantity: 1 }],
        payment: { method: 'card', card_token: 'tok_visa' },
      },
    };
    journal.wanted.push(wanted);
    const answer = await sendOrder(people, wanted);
    if (answer?.ok) {
      const { order_id, total } = answer.body;
      wanted.answer = { status: answer.status, order_id, total };
      accept(journal, wanted, { status: answer.status, order_id, total });
    } else
      violations.push(`request ${number + 1} of the last ${LAST_REQUESTS}: ${answer?.status ?? 'no answer'}`);
  }
  return {
    name: 'tail',
    promise: 'After the last fault every request succeeds at the first try.',
    verified: LAST_REQUESTS,
    violations,
  };
}
