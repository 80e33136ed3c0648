import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait.ts';
import { checkService, type CheckedService } from './checked-service.ts';
import { documentsOf } from './documents.ts';
import { deliverDuringStall, eventTimeout, holdStateCalls, NO_ANSWER } from './stall.ts';
import { subjectOf } from './subject.ts';

const { CONTRACT_SERVICE } = process.env;
// Two stand for the services of this repository, which share this code.
const NAMES = CONTRACT_SERVICE === undefined ? ['payments', 'inventory'] : [CONTRACT_SERVICE];
const UUID = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/;

/** Time that the process of a service has after SIGTERM, and for its own end. */
const STOP_MS = 12_000;

/** The rules of CONTRACT.md that take seconds to check. */
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

  it.skipIf(received.length === 0)(
    'When SIGTERM arrives and the state store does not answer, then it exits within ten seconds, with 1 without an answer',
    async () => {
      const service = await checkService(name, { count: 1 });
      const { deliver } = subjectOf(name, documents, () => service);
      const called = holdStateCalls(service.sidecar, () => new Promise(() => {}));
      try {
        const answer = deliver(received[0]!.type, received[0]!.event).catch(() => NO_ANSWER);
        await called;
        const startedAt = performance.now();
        const code = await service.replicas[0]!.end('SIGTERM');
        expect(performance.now() - startedAt).toBeLessThan(STOP_MS);
        expect([await answer, code]).toEqual((await answer) === NO_ANSWER ? [NO_ANSWER, 1] : ['RETRY', 0]);
      } finally {
        await service.stop();
      }
    },
  );

  it('When live variables change, then right values apply until they are deleted', async () => {
    const service = await checkService(name, { count: 1, env: { LOG_LEVEL: 'error' } });
    const { configuration } = service.sidecar;
    const variable = `${name}/LOG_LEVEL`;
    const isApplied = () => logsRequest(service);
    try {
      expect(await isApplied()).toBe(false);
      configuration.set(variable, 'info');
      await waitFor('the value applies', isApplied);
      configuration.set(variable, 'loud');
      expect([await isApplied(), await isApplied()]).toEqual([true, true]);
      configuration.delete(variable);
      await waitFor('the environment applies', async () => !(await isApplied()));
    } finally {
      await service.stop();
    }
  });
});

/** Whether a request is logged before the service has read its settings twice. */
async function logsRequest({ sidecar, replicas, call }: CheckedService): Promise<boolean> {
  const reads = sidecar.configurationReads + 2;
  const requestId = randomUUID();
  await call('GET', '/unknown', { headers: { 'x-request-id': requestId } });
  const isLogged = () => replicas[0]!.lines.some((line) => line.includes(requestId));
  await waitFor(
    'a line, or two reads of the settings',
    () => isLogged() || sidecar.configurationReads >= reads,
  );
  return isLogged();
}

/** Another event: its first id, that of the order, the product or the user, is another one. */
function withOtherId(event: unknown): unknown {
  const text = JSON.stringify(event);
  const [id] = UUID.exec(text) ?? [];
  return id === undefined ? event : (JSON.parse(text.replaceAll(id, randomUUID())) as unknown);
}
