import { setTimeout as delay } from 'node:timers/promises';
import { median, quantile } from '../../load/closed-loop.ts';
import { usage } from '../../load/processes.ts';
import type { CheckContext } from '../checks/check.ts';
import type { OrderRequest } from '../journal.ts';
import { placeOrder } from '../load.ts';
import type { TestProducts } from '../test-products.ts';
import { tally } from '../tally.ts';
import type { Attack, AttackContext, Evaluation } from './attack.ts';

/** The load as a multiple of the capacity. */
const OVERLOAD_FACTOR = 5;
/** The interval between orders before and after the overload. */
const BASELINE_INTERVAL_MS = 250;
const BASELINE_SECONDS = 15;
const CAPACITY_SECONDS = 30;
/** The first part of a measurement does not count, because its orders only fill the queues. */
const WARM_UP_SECONDS = 15;
const RECOVERY_SECONDS = 45;
/** The number of concurrent clients that measure the capacity. */
const CAPACITY_CLIENTS = 48;
/** The maximum response time: the gateway waits five seconds for a service. */
const MAX_RESPONSE_MS = 6_000;
/** The maximum time until latencies are normal again. */
const MAX_RECOVERY_SECONDS = 30;
/** The size of the windows whose latencies are compared with those before the overload. */
const WINDOW_MS = 5_000;
/** The maximum memory of a process. dapr.yaml limits the heap of a service. */
const MAX_MEMORY_MB = 300;

/** An order request and its outcome. Times are in milliseconds. */
interface OrderAttempt {
  sentAt: number;
  durationMs: number;
  status: number | 'no response';
  /** The value of Retry-After, or NaN without it. */
  retryAfterSeconds: number;
}

/**
 * Creates an attack that measures the capacity and then requests five times as many orders at fixed times, whether or not
 * responses arrive.
 */
export function createOverloadAttack(products: TestProducts, seconds: number): Attack {
  return async (attackContext) => {
    const { signal, print } = attackContext;
    const orders = createOrderClient(attackContext, products);
    print('Measuring the baseline ...');
    const before = await orders.sendEvery(BASELINE_INTERVAL_MS, BASELINE_SECONDS);
    print(`Measuring the capacity with ${CAPACITY_CLIENTS} clients ...`);
    const capacityPerSecond = await orders.measureCapacity();
    // The system first finishes the orders of the measurement.
    await delay(WARM_UP_SECONDS * 1000, undefined, { signal });
    const rate = OVERLOAD_FACTOR * capacityPerSecond;
    print(
      `Capacity: ${capacityPerSecond.toFixed(1)} orders per second. Sending ${rate.toFixed(0)} per second ...`,
    );
    const memory = trackMemory();
    const overload = await orders.sendEvery(1000 / rate, seconds).finally(memory.stop);
    print('Measuring the recovery ...');
    const after = await orders.sendEvery(BASELINE_INTERVAL_MS, RECOVERY_SECONDS);
    return {
      faults: [],
      evaluate: (context) =>
        evaluate({ before, overload, after, capacityPerSecond, memory: memory.peaksMb, context }),
    };
  };
}

function createOrderClient({ users, journal, signal }: AttackContext, products: TestProducts) {
  let sequence = 0;
  async function sendOrder(): Promise<OrderAttempt> {
    const number = sequence++;
    const request: OrderRequest = {
      customer: number % users.customers.length,
      key: `overload-${number}-${Date.now()}`,
      body: {
        items: [
          { product_id: products.others[number % products.others.length] ?? products.hot, quantity: 1 },
        ],
        payment: { method: 'card', card_token: 'tok_visa' },
      },
    };
    const sentAt = Date.now();
    const sent = performance.now();
    const response = await placeOrder(users, journal, request);
    if (!request.response) journal.abandoned.push(request);
    return {
      sentAt,
      durationMs: Math.round(performance.now() - sent),
      status: response?.status ?? 'no response',
      retryAfterSeconds: Number(response?.headers['retry-after']),
    };
  }
  return {
    /** Sends orders at fixed times, without waiting for responses. */
    async sendEvery(everyMs: number, forSeconds: number): Promise<OrderAttempt[]> {
      const started = performance.now();
      const times = Math.round((forSeconds * 1000) / everyMs);
      return Promise.all(
        Array.from({ length: times }, async (_, number) => {
          await delay(Math.max(0, started + number * everyMs - performance.now()), undefined, { signal });
          return sendOrder();
        }),
      );
    },
    /** Measures accepted orders per second while each client sends its next order after the last response. */
    async measureCapacity(): Promise<number> {
      const started = Date.now();
      const end = performance.now() + CAPACITY_SECONDS * 1000;
      const all: OrderAttempt[] = [];
      const sendRepeatedly = async () => {
        while (performance.now() < end) {
          signal.throwIfAborted();
          const attempt = await sendOrder();
          all.push(attempt);
          if (attempt.status !== 201)
            await delay(1000 * (attempt.retryAfterSeconds || 1), undefined, { signal });
        }
      };
      await Promise.all(Array.from({ length: CAPACITY_CLIENTS }, sendRepeatedly));
      const accepted = all.filter(
        ({ sentAt, status }) => status === 201 && sentAt > started + WARM_UP_SECONDS * 1000,
      );
      return accepted.length / (CAPACITY_SECONDS - WARM_UP_SECONDS);
    },
  };
}

/** Tracks the peak memory of all processes that this one has started. */
function trackMemory() {
  const peaksMb = new Map<string, number>();
  const timer = setInterval(() => {
    for (const { name, memoryMb } of usage()) peaksMb.set(name, Math.max(memoryMb, peaksMb.get(name) ?? 0));
  }, 2_000);
  return { peaksMb, stop: () => clearInterval(timer) };
}

interface Measurements {
  before: OrderAttempt[];
  overload: OrderAttempt[];
  after: OrderAttempt[];
  capacityPerSecond: number;
  /** The peak memory in megabytes, by process. */
  memory: Map<string, number>;
  context: CheckContext;
}

function evaluate(measurements: Measurements): Evaluation {
  const { before, overload, after, capacityPerSecond, memory, context } = measurements;
  const shed = overload.filter(({ status }) => status !== 201);
  const accepted = overload.length - shed.length;
  const normal = p90(before.map(({ durationMs }) => durationMs));
  const overloadEnd = after[0]?.sentAt ?? 0;
  // A response is late if it takes twice as long as before and more than 50 ms.
  const isLate = (window: OrderAttempt[]) =>
    window.some(({ status }) => status !== 201) ||
    p90(window.map(({ durationMs }) => durationMs)) > Math.max(2 * normal, 50);
  const windows = Array.from({ length: (RECOVERY_SECONDS * 1000) / WINDOW_MS }, (_, number) =>
    after.filter(({ sentAt }) => Math.floor((sentAt - overloadEnd) / WINDOW_MS) === number),
  );
  const recoveredAfter = ((windows.findLastIndex(isLate) + 1) * WINDOW_MS) / 1000;
  const paidBefore = p90(timesToPaid(context, before));
  const paidAfter = p90(
    timesToPaid(context, after.slice((MAX_RECOVERY_SECONDS * 1000) / BASELINE_INTERVAL_MS)),
  );
  const ownProcesses = [...memory].filter(
    ([name]) => /^[a-z-]+$/.test(name) && name !== 'zipkin' && name !== 'maildev',
  );
  const shedDurations = shed.map(({ durationMs }) => durationMs);
  return {
    checks: [
      {
        name: 'shed requests',
        promise: `Requests beyond the capacity get 429 or 503 with Retry-After. Every response arrives within ${MAX_RESPONSE_MS / 1000} s.`,
        verified: overload.length,
        violations: countEach(overload.flatMap((attempt) => violationsOf(attempt))),
      },
      {
        name: 'back to normal',
        promise: `${MAX_RECOVERY_SECONDS} s after the overload, responses and payments take as long as before.`,
        verified: after.length,
        violations: [
          ...(recoveredAfter > MAX_RECOVERY_SECONDS ? [`responses were late for ${recoveredAfter} s`] : []),
          ...(paidAfter > 2 * paidBefore
            ? [`payments took ${paidAfter} ms, and ${paidBefore} ms before`]
            : []),
        ],
      },
      {
        name: 'memory',
        promise: `No service and no sidecar uses more than ${MAX_MEMORY_MB} MB.`,
        verified: ownProcesses.length,
        violations: ownProcesses.flatMap(([name, memoryMb]) =>
          memoryMb > MAX_MEMORY_MB ? [`${name} used ${Math.round(memoryMb)} MB`] : [],
        ),
      },
    ],
    figures: {
      capacity: `${capacityPerSecond.toFixed(1)} orders/s`,
      'requested during the overload': `${overload.length} orders`,
      accepted: `${accepted}`,
      shed: `${shed.length}`,
      'response before, p90': `${normal} ms`,
      'shed response, median': `${median(shedDurations)} ms`,
      'shed response, p90': `${p90(shedDurations)} ms`,
      'slowest response in the overload': `${Math.max(...overload.map(({ durationMs }) => durationMs))} ms`,
      'responses normal again after': `${recoveredAfter} s`,
      'time to payment before, p90': `${paidBefore} ms`,
      'time to payment 30 s after, p90': `${paidAfter} ms`,
      ...Object.fromEntries(
        ownProcesses
          .toSorted(([, a], [, b]) => b - a)
          .slice(0, 5)
          .map(([name, memoryMb]) => [`peak memory of ${name}`, `${Math.round(memoryMb)} MB`]),
      ),
    },
  };
}

function violationsOf({ status, durationMs, retryAfterSeconds }: OrderAttempt): string[] {
  const isShed = (status === 429 || status === 503) && retryAfterSeconds >= 1;
  return [
    ...(status === 201 || isShed ? [] : [`${status}, Retry-After ${retryAfterSeconds}`]),
    ...(durationMs > MAX_RESPONSE_MS ? ['late response'] : []),
  ];
}

const countEach = (texts: readonly string[]) =>
  Object.entries(tally(texts)).map(([text, times]) => `${text}: ${times} times`);

/** The time from creation to payment, in milliseconds, of the orders that were created during these attempts. */
function timesToPaid({ orders }: CheckContext, attempts: readonly OrderAttempt[]): number[] {
  const [from, to] = [attempts[0]?.sentAt ?? 0, attempts.at(-1)?.sentAt ?? 0];
  return [...orders.values()].flatMap(({ events, times }) => {
    const [created, paid] = [times[0] ?? 0, times[events.indexOf('order.paid')]];
    return paid !== undefined && created >= from && created <= to ? [paid - created] : [];
  });
}

const p90 = (values: readonly number[]) => quantile(values, 0.9);
