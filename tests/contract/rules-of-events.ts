import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TRACE } from './checked-service.ts';
import type { Json } from './documents.ts';
import type { Subject } from './subject.ts';

/** The rules of CONTRACT.md, Events. The rules of one service say what an event changes. */
export function describeEvents({ documents, sidecar, deliver }: Subject): void {
  const events = documents.received.map((one) => [one.type, one] as const);

  describe('CONTRACT.md, Events', () => {
    it.each(events)(
      'When %s has another form, then it is dropped and nothing is saved',
      async (type, { event, schema }) => {
        const wrong: [string, unknown][] = [
          ...(schema['required'] as string[]).map((member): [string, unknown] => [
            member,
            { ...event, [member]: undefined },
          ]),
          ['source', { ...event, source: 'somebody' }],
          ['type', { ...event, type: 'order.unknown' }],
          ['specversion', { ...event, specversion: '0.3' }],
          ['time', { ...event, time: 'yesterday' }],
          ['data', { ...event, data: {} }],
          ['array', [event]],
        ];
        for (const [member, body] of wrong)
          expect([member, await deliver(type, body)]).toEqual([member, 'DROP']);
        expect(sidecar().documents.size).toBe(0);
      },
    );

    it.each(events)(
      'When %s has members that the schema does not know, then they change nothing',
      async (type, { event }) => {
        const plain = await deliver(type, event);
        const more = { ...event, traceparent: TRACE(), data: { ...(event['data'] as Json), added: 1 } };
        expect(await deliver(type, more)).toBe(plain);
      },
    );

    it.each(events)('When the sidecar fails during %s, then it is redelivered', async (type, { event }) => {
      sidecar().onStateCall(() => {
        throw new Error('unavailable');
      });
      for (const capability of ['invoke', 'schedule', 'publish'] as const) sidecar().fail(capability, 100);
      expect(await deliver(type, event)).toBe('RETRY');
    });

    it.each(events)(
      'When %s is in a trace, then every call to the sidecar is in it',
      async (type, { event }) => {
        const [requestId, traceparent] = [randomUUID(), TRACE()];
        await deliver(type, event, { traceparent, tracestate: 'vendor=1', 'x-request-id': requestId });
        // Calls without a request, such as reading the settings, have traces of their own.
        const calls = sidecar().traced.filter(({ headers }) => headers['x-request-id'] === requestId);
        const traceOf = (header: unknown) => String(header).split('-')[1];
        const others = calls.filter(
          ({ headers }) => traceOf(headers['traceparent']) !== traceOf(traceparent),
        );
        expect([calls.length > 0, others.map(({ what }) => what)]).toEqual([true, []]);
      },
    );

    it.each(events)(
      'When %s arrives twice at once, then the answers are those of one delivery',
      async (type, { event }) => {
        const alone = await deliver(type, event);
        const answers = await Promise.all([deliver(type, event), deliver(type, event)]);
        // A lost race may end with RETRY.
        expect(answers.filter((answer) => answer !== alone && answer !== 'RETRY')).toEqual([]);
      },
    );
  });
}
