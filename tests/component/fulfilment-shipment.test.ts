import { describe, expect, it } from 'vitest';
import { statusEvent, trackingNumber, type Shipment } from '../../services/fulfilment/domain/shipment.ts';
import {
  decide,
  type Decision,
  type ShipmentStatus,
  type ShipmentTrigger,
} from '../../services/fulfilment/domain/state-machine.ts';

const ORDER = '019b0000-0000-7000-8000-000000000001';

type State = ShipmentStatus | 'none';
const STATES: State[] = ['none', 'PREPARING', 'DISPATCHED', 'DELIVERED', 'STOPPED'];
const TRIGGERS: ShipmentTrigger[] = ['order.paid', 'order.shipped', 'stop', 'tick'];

const publish = true;
const quiet = false;
/** State, message, whether the state is due (null: irrelevant), decision. */
const TABLE: [State, ShipmentTrigger, boolean | null, Decision | undefined][] = [
  ['none', 'order.paid', null, { to: 'PREPARING', publish: quiet }],
  ['PREPARING', 'order.paid', false, { publish }],
  ['PREPARING', 'order.paid', true, { to: 'DISPATCHED', publish }],
  ['DISPATCHED', 'order.paid', false, { publish }],
  ['DISPATCHED', 'order.paid', true, { to: 'DELIVERED', publish }],
  ['DELIVERED', 'order.paid', null, { publish }],
  ['STOPPED', 'order.paid', null, { publish }],

  ['none', 'order.shipped', null, { to: 'DISPATCHED', publish }],
  ['PREPARING', 'order.shipped', null, { to: 'DISPATCHED', publish }],
  ['DISPATCHED', 'order.shipped', false, { publish: quiet }],
  ['DISPATCHED', 'order.shipped', true, { to: 'DELIVERED', publish }],
  ['DELIVERED', 'order.shipped', null, { publish }],
  ['STOPPED', 'order.shipped', null, { to: 'DISPATCHED', publish }],

  ['none', 'stop', null, { to: 'STOPPED', publish }],
  ['PREPARING', 'stop', null, { to: 'STOPPED', publish }],
  ['DISPATCHED', 'stop', null, undefined],
  ['DELIVERED', 'stop', null, undefined],
  ['STOPPED', 'stop', null, { publish }],

  ['none', 'tick', null, { publish }],
  ['PREPARING', 'tick', null, { to: 'DISPATCHED', publish }],
  ['DISPATCHED', 'tick', false, { publish }],
  ['DISPATCHED', 'tick', true, { to: 'DELIVERED', publish }],
  ['DELIVERED', 'tick', null, { publish }],
  ['STOPPED', 'tick', null, { publish }],
];
const CASES = TABLE.flatMap(([state, message, isDue, decision]) =>
  (isDue === null ? [false, true] : [isDue]).map((due) => ({ state, message, due, decision })),
);
const statusOf = (state: State) => (state === 'none' ? undefined : state);

describe('the rule of shipments', () => {
  it('When all states meet all triggers, then the table has each case once', () => {
    const all = STATES.flatMap((state) =>
      TRIGGERS.flatMap((message) => [false, true].map((due) => `${state} ${message} ${due}`)),
    );

    expect(CASES.map(({ state, message, due }) => `${state} ${message} ${due}`).sort()).toEqual(all.sort());
  });

  it.each(CASES)(
    'When it is $state and receives $message (due: $due), then it decides as in the table',
    (row) => {
      expect(decide(statusOf(row.state), row.message, row.due)).toEqual(row.decision);
    },
  );

  it.each(CASES)(
    'When $message comes twice in $state (due: $due), then the second one changes no status',
    (row) => {
      const first = decide(statusOf(row.state), row.message, row.due);
      const status = first?.to ?? statusOf(row.state);

      // A new status is not due.
      expect(decide(status, row.message, false)?.to).toBeUndefined();
    },
  );
});

describe('the events of a shipment', () => {
  const shipment: Shipment = {
    order_id: ORDER,
    status: 'PREPARING',
    tracking_number: 'SC1',
    updated_at: '2026-01-01T10:00:00.000Z',
    reason: 'changed my mind',
  };

  it.each([
    ['PREPARING', undefined],
    ['DISPATCHED', { type: 'shipment.dispatched', data: { order_id: ORDER, tracking_number: 'SC1' } }],
    ['DELIVERED', { type: 'shipment.delivered', data: { order_id: ORDER, tracking_number: 'SC1' } }],
    ['STOPPED', { type: 'shipment.stopped', data: { order_id: ORDER, reason: 'changed my mind' } }],
  ] as const)('When it is %s, then that event is published', (status, said) => {
    expect(statusEvent({ ...shipment, status }, false)).toEqual(said);
  });
});

describe('a tracking number', () => {
  it.each([
    ['00000000-0000-0000-0000-00000000000a', 'SC000000000000109'],
    ['00000000-0000-0000-0000-000000000000', 'SC000000000000000'],
    // 7992739871 is the textbook example of Luhn's algorithm: its check digit is 3.
    ['00000000-0000-0000-0000-0001dc67881f', 'SC000079927398713'],
  ])('When the order is %s, then it is %s', (orderId, number) => {
    expect(trackingNumber(orderId)).toBe(number);
  });
});
