import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkService } from './checked-service.ts';
import { documentsOf } from './documents.ts';
import { deliverDuringStall, eventTimeout, NO_ANSWER } from './stall.ts';
import { subjectOf } from './subject.ts';

const { CONTRACT_SERVICE } = process.env;
// Two stand for the services of this repository, which share their client: each waits for eight seconds.
const NAMES = CONTRACT_SERVICE === undefined ? ['payments', 'inventory'] : [CONTRACT_SERVICE];
const UUID = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/;

/** CONTRACT.md, Events: a service recovers from a store that did not answer within the eight seconds of an event. */
describe.concurrent.each(NAMES)('%s', (name) => {
  const documents = documentsOf(name);
  const { received } = documents;
  it.skipIf(received.length === 0)(
    'When the state store does not answer during many events, then later events are handled as before',
    async () => {
      const service = await checkService(name, { count: 1 });
      const { deliver } = subjectOf(name, documents, () => service);
      const deliverAnother = ({ type, event }: (typeof received)[number], signal = eventTimeout()) =>
        deliver(type, withOtherId(event), {}, signal);
      async function deliverEach() {
        const answers = [];
        for (const one of received) answers.push([one.type, await deliverAnother(one)]);
        return answers;
      }
      try {
        const before = await deliverEach();
        const answers = await deliverDuringStall(service.sidecar, 150, (signal) =>
          deliverAnother(received[0]!, signal),
        );
        expect(answers.filter((one) => one !== 'RETRY' && one !== NO_ANSWER)).toEqual([]);
        expect(await deliverEach()).toEqual(before);
      } finally {
        await service.stop();
      }
    },
  );
});

/** Another event: its first id, that of the order, the product or the user, is another one. */
function withOtherId(event: unknown): unknown {
  const text = JSON.stringify(event);
  const [id] = UUID.exec(text) ?? [];
  return id === undefined ? event : (JSON.parse(text.replaceAll(id, randomUUID())) as unknown);
}
