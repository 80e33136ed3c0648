import { describe, expect, it } from 'vitest';
import { createApplyTrigger } from '../../services/orders/apply-trigger.ts';
import type { OrderStatus } from '../../services/orders/contract.ts';
import { append, replay, type NewEvent } from '../../services/orders/domain/order.ts';
import { decide, type Trigger } from '../../services/orders/domain/state-machine.ts';
import type { OrderDocument, OrderStore } from '../../services/orders/store/order-store.ts';
import { ConflictError } from '../../services/shared/dapr/sidecar-call.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { ONE_TRIGGER_PER_TYPE } from '../support/orders.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const ID = '0193b2a0-0000-7000-8000-000000000001';

const TRIGGERS: Trigger[] = [
  ...ONE_TRIGGER_PER_TYPE,
  { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: true },
];

const created: NewEvent = {
  type: 'order.created',
  data: { customer_id: ID, items: [], total: 100, currency: 'EUR' },
};

/** Every stream that triggers lead to, up to this number of them. */
function streams(
  depth: number,
  from: OrderDocument['events'] = append([], [created], TIME),
): (typeof from)[] {
  if (depth === 0) return [from];
  const next = TRIGGERS.map((trigger) =>
    append(from, decide(replay(ID, from), from.at(-1)!.type, trigger).append, TIME),
  ).filter((events) => events.length > from.length);
  return [from, ...next.flatMap((events) => streams(depth - 1, events))];
}

/** Applies a trigger while this process remembers another version than the stored one. */
async function apply(
  stored: OrderDocument['events'],
  recalled: OrderDocument['events'] | undefined,
  trigger: Trigger,
) {
  const documentOf = (events: OrderDocument['events']) => ({ order_id: ID, events, request_hash: '' });
  let [document, etag] = [documentOf(stored), stored.length];
  let remembered = recalled && { value: documentOf(recalled), etag: String(recalled.length) };
  const published = new Set<string>();
  const store: OrderStore = {
    load: async () => ({ value: document, etag: String(etag) }),
    recall: () => remembered,
    async save(after, before) {
      remembered = undefined;
      if (before?.etag !== String(etag)) throw new ConflictError('another writer');
      [document, etag] = [after, etag + 1];
    },
  };
  const applyTrigger = createApplyTrigger({
    store,
    watched: { add: (id) => ({ op: 'amend', key: 'worklist:0', change: () => ({ [id]: {} }) }) },
    publishEvent: async ({ events }, version) =>
      void published.add(`${version} ${events[version - 1]?.type}`),
    admission: { onTransition: () => {} },
    watchdogIntervalMs: 1_000,
    metrics,
    now: () => new Date(TIME),
  });
  const result = await applyTrigger(ID, trigger);
  return { result, events: document.events, published };
}

const metrics = createMetrics();
const statusOf = (events: OrderDocument['events']): OrderStatus => replay(ID, events).status;

describe('a decision on an outdated order', () => {
  const all = streams(4);

  it.each(TRIGGERS)(
    'When %j meets any older version of any order, then it does what it does to the stored one',
    async (trigger) => {
      for (const stored of all)
        for (let version = 1; version <= stored.length; version++) {
          const expected = await apply(stored, undefined, trigger);
          const actual = await apply(stored, stored.slice(0, version), trigger);
          const situation = `${statusOf(stored.slice(0, version))} known, ${statusOf(stored)} stored`;
          expect([situation, actual.events]).toEqual([situation, expected.events]);
          expect([situation, actual.result]).toEqual([situation, expected.result]);
          expect([situation, [...actual.published]]).toEqual([
            situation,
            expect.arrayContaining([...expected.published]),
          ]);
        }
    },
  );
});
