import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkService } from './checked-service.ts';
import { documentsOf } from './documents.ts';
import { deliverDuringStall, NO_ANSWER } from './stall.ts';

const { CONTRACT_SERVICE } = process.env;
// Two stand for the services of this repository, which share their client: each waits for eight seconds.
const NAMES = CONTRACT_SERVICE === undefined ? ['payments', 'inventory'] : [CONTRACT_SERVICE];
const UUID = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/;

/** CONTRACT.md, Events: a service recovers from a store that did not answer within the eight seconds of an event. */
describe.concurrent.each(NAMES)('%s', (name) => {
  const { received } = documentsOf(name);
  it.skipIf(received.length === 0)(
    'When the state store does not answer during many events, then later events are handled as before',
    async () => {
      const { sidecar, call, stop } = await checkService(name, { count: 1 });
      async function deliver(
        { type, event }: (typeof received)[number],
        signal = AbortSignal.timeout(8_000),
      ) {
        const { body } = await call('POST', `/events/${type}`, {
          text: withOtherId(JSON.stringify(event)),
          headers: { 'content-type': 'application/cloudevents+json' },
          signal,
        });
        return [type, body['status']];
      }
      async function deliverEach() {
        const answers = [];
        for (const one of received) answers.push(await deliver(one));
        return answers;
      }
      try {
        const before = await deliverEach();
        const answers = await deliverDuringStall(
          sidecar,
          150,
          async (signal) => (await deliver(received[0]!, signal))[1],
        );
        expect(answers.filter((one) => one !== 'RETRY' && one !== NO_ANSWER)).toEqual([]);
        expect(await deliverEach()).toEqual(before);
      } finally {
        await stop();
      }
    },
  );
});

/** Another event: its first id, that of the order, the product or the user, is another one. */
function withOtherId(event: string): string {
  const [id] = UUID.exec(event) ?? [];
  return id === undefined ? event : event.replaceAll(id, randomUUID());
}
