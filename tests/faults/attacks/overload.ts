import { setTimeout as delay } from 'node:timers/promises';
import { median, quantile } from '../../load/closed-loop.ts';
import { usage } from '../../load/processes.ts';
import type { Scene } from '../checks/check.ts';
import type { Wanted } from '../journal.ts';
import { placeOrder } from '../load.ts';
import type { Shelf } from '../shelf.ts';
import { tally } from '../tally.ts';
import type { Attack, Field, Judgement } from './attack.ts';

/** How many times more than the system can carry. */
const TIMES = 5;
/** Before and after the crowd, one order is asked for in so many milliseconds. */
const CALM_EVERY = 250;
/** Seconds. */
const CALM = 15;
const MEASURE = 30;
/** Of those, the first do not count: what is accepted then only fills the queues. */
const FILLING = 15;
const AFTER = 45;
/** How many ask at once to find out what the system can carry. */
const ASKERS = 48;
/** When everybody has to be answered: the gateway gives a service five seconds. Milliseconds. */
const IN_TIME = 6_000;
/** When all has to be as before the crowd. Seconds. */
const BACK_WITHIN = 30;
/** Windows in which answers are compared with those before the crowd. Milliseconds. */
const WINDOW = 5_000;
/** What a process may take. Its heap is bounded by dapr.yaml, a sidecar's by what it holds for others. Megabytes. */
const MOST_MEMORY = 300;

/** An order that was asked for, and its answer. Times in milliseconds. */
interface Asked {
  at: number;
  took: number;
  status: number | 'no answer';
  /** Seconds, as it says; NaN where it does not. */
  retryAfter: number;
}

/**
 * A crowd that asks for five times as many orders as the system can carry, which is measured first, whether or not it gets
 * its answers.
 */
export function overload(shelf: Shelf, seconds: number): Attack {
  return async (field) => {
    const { signal, tell } = field;
    const orders = asking(field, shelf);
    tell('Calm ...');
    const before = await orders.everySoOften(CALM_EVERY, CALM);
    tell(`${ASKERS} ask one after the other ...`);
    const perSecond = await orders.sustained();
    // What they have left behind is done with first.
    await delay(FILLING * 1000, undefined, { signal });
    const rate = TIMES * perSecond;
    tell(`${perSecond.toFixed(1)} orders a second were taken; now ${rate.toFixed(0)} are asked for ...`);
    const memory = peaks();
    const crowd = await orders.everySoOften(1000 / rate, seconds).finally(memory.stop);
    tell('Calm again ...');
    const after = await orders.everySoOften(CALM_EVERY, AFTER);
    return {
      faults: [],
      judge: (scene) => judge({ before, crowd, after, perSecond, memory: memory.most, scene }),
    };
  };
}

function asking({ people, journal, signal }: Field, shelf: Shelf) {
  let asked = 0;
  async function ask(): Promise<Asked> {
    const number = asked++;
    const wanted: Wanted = {
      customer: number % people.customers.length,
      key: `crowd-${number}-${Date.now()}`,
      body: {
        items: [{ product_id: shelf.others[number % shelf.others.length] ?? shelf.hot, quantity: 1 }],
        payment: { method: 'card', card_token: 'tok_visa' },
      },
    };
    const at = Date.now();
    const sent = performance.now();
    const answer = await placeOrder(people, journal, wanted);
    if (!wanted.answer) journal.givenUp.push(wanted);
    return {
      at,
      took: Math.round(performance.now() - sent),
      status: answer?.status ?? 'no answer',
      retryAfter: Number(answer?.headers['retry-after']),
    };
  }
  return {
    /** At fixed times, whatever has become of those before. */
    async everySoOften(everyMs: number, forSeconds: number): Promise<Asked[]> {
      const started = performance.now();
      const times = Math.round((forSeconds * 1000) / everyMs);
      return Promise.all(
        Array.from({ length: times }, async (_, number) => {
          await delay(Math.max(0, started + number * everyMs - performance.now()), undefined, { signal });
          return ask();
        }),
      );
    },
    /** Orders accepted a second when a few ask for the next one as soon as they have been told of the last. */
    async sustained(): Promise<number> {
      const started = Date.now();
      const end = performance.now() + MEASURE * 1000;
      const all: Asked[] = [];
      const askOn = async () => {
        while (performance.now() < end) {
          signal.throwIfAborted();
          const one = await ask();
          all.push(one);
          if (one.status !== 201) await delay(1000 * (one.retryAfter || 1), undefined, { signal });
        }
      };
      await Promise.all(Array.from({ length: ASKERS }, askOn));
      const counted = all.filter(({ at, status }) => status === 201 && at > started + FILLING * 1000);
      return counted.length / (MEASURE - FILLING);
    },
  };
}

/** Watches the memory of everything that this process has started. */
function peaks() {
  const most = new Map<string, number>();
  const look = setInterval(() => {
    for (const { name, memoryMb } of usage()) most.set(name, Math.max(memoryMb, most.get(name) ?? 0));
  }, 2_000);
  return { most, stop: () => clearInterval(look) };
}

interface Seen {
  before: Asked[];
  crowd: Asked[];
  after: Asked[];
  perSecond: number;
  /** Megabytes at most, by process. */
  memory: Map<string, number>;
  scene: Scene;
}

function judge(seen: Seen): Judgement {
  const { before, crowd, after, perSecond, memory, scene } = seen;
  const refused = crowd.filter(({ status }) => status !== 201);
  const accepted = crowd.length - refused.length;
  const normal = nineOfTen(before.map(({ took }) => took));
  const gone = after[0]?.at ?? 0;
  // An answer is late where it takes twice as long as before, but nobody notices a twentieth of a second.
  const isLate = (window: Asked[]) =>
    window.some(({ status }) => status !== 201) ||
    nineOfTen(window.map(({ took }) => took)) > Math.max(2 * normal, 50);
  const windows = Array.from({ length: (AFTER * 1000) / WINDOW }, (_, number) =>
    after.filter(({ at }) => Math.floor((at - gone) / WINDOW) === number),
  );
  const backAfter = ((windows.findLastIndex(isLate) + 1) * WINDOW) / 1000;
  const paidBefore = nineOfTen(timesToPaid(scene, before));
  const paidAfter = nineOfTen(timesToPaid(scene, after.slice((BACK_WITHIN * 1000) / CALM_EVERY)));
  const large = [...memory].filter(
    ([name]) => /^[a-z-]+$/.test(name) && name !== 'zipkin' && name !== 'maildev',
  );
  const tookToRefuse = refused.map(({ took }) => took);
  return {
    checks: [
      {
        name: 'refusals',
        promise: `What is too much is refused with 429 or 503 and Retry-After, and everybody is answered within ${IN_TIME / 1000} s.`,
        verified: crowd.length,
        violations: counted(crowd.flatMap((one) => wrongWith(one))),
      },
      {
        name: 'back to normal',
        promise: `${BACK_WITHIN} s after the crowd has gone, answers and payments take as long as before.`,
        verified: after.length,
        violations: [
          ...(backAfter > BACK_WITHIN ? [`answers were late for ${backAfter} s`] : []),
          ...(paidAfter > 2 * paidBefore
            ? [`payments took ${paidAfter} ms, and ${paidBefore} ms before`]
            : []),
        ],
      },
      {
        name: 'memory',
        promise: `No service and no sidecar takes more than ${MOST_MEMORY} MB.`,
        verified: large.length,
        violations: large.flatMap(([name, mb]) =>
          mb > MOST_MEMORY ? [`${name} took ${Math.round(mb)} MB`] : [],
        ),
      },
    ],
    figures: {
      'carried for half a minute': `${perSecond.toFixed(1)} orders/s`,
      'asked for by the crowd': `${crowd.length} orders`,
      'of them accepted': `${accepted}`,
      'of them refused': `${refused.length}`,
      'an answer, nine of ten, before': `${normal} ms`,
      'a refusal, at the median': `${median(tookToRefuse)} ms`,
      'a refusal, nine of ten': `${nineOfTen(tookToRefuse)} ms`,
      'an answer to the crowd, at worst': `${Math.max(...crowd.map(({ took }) => took))} ms`,
      'answers as before, after the crowd': `${backAfter} s`,
      'until paid, nine of ten, before': `${paidBefore} ms`,
      'until paid, nine of ten, 30 s after': `${paidAfter} ms`,
      ...Object.fromEntries(
        large
          .toSorted(([, a], [, b]) => b - a)
          .slice(0, 5)
          .map(([name, mb]) => [`memory of ${name} at most`, `${Math.round(mb)} MB`]),
      ),
    },
  };
}

function wrongWith({ status, took, retryAfter }: Asked): string[] {
  const isRefusal = (status === 429 || status === 503) && retryAfter >= 1;
  return [
    ...(status === 201 || isRefusal ? [] : [`${status}, Retry-After ${retryAfter}`]),
    ...(took > IN_TIME ? ['answered too late'] : []),
  ];
}

const counted = (wrong: readonly string[]) =>
  Object.entries(tally(wrong)).map(([what, times]) => `${what}: ${times} times`);

/** From an order's creation until it was paid, of those that were created meanwhile. Milliseconds. */
function timesToPaid({ orders }: Scene, meanwhile: readonly Asked[]): number[] {
  const [from, to] = [meanwhile[0]?.at ?? 0, meanwhile.at(-1)?.at ?? 0];
  return [...orders.values()].flatMap(({ events, times }) => {
    const [created, paid] = [times[0] ?? 0, times[events.indexOf('order.paid')]];
    return paid !== undefined && created >= from && created <= to ? [paid - created] : [];
  });
}

const nineOfTen = (values: readonly number[]) => quantile(values, 0.9);
