import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startFakeSidecar } from '../support/fake-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { checkService, TRACE } from './checked-service.ts';
import { environment, freePort, requestLine, startProcess, startReadyProcess } from './service-process.ts';
import { holdStateCalls } from './stall.ts';
import type { Subject } from './subject.ts';

/** Only a variable for free text accepts all of these. */
const WRONG_VALUES = ['two words', '-1', 'x\u0001'];

/** The rules of CONTRACT.md, Start and stop. */
export function describeStartAndStop({
  name,
  documents,
  sidecar,
  callerFor,
  pathOf,
  queryOf,
}: Subject): void {
  const { openapi, received, routes } = documents;
  const variables = openapi['x-environment'];
  const ready = async () => environment(await freePort(), sidecar().port);

  describe('CONTRACT.md, Start and stop', () => {
    it('When required variables are missing, then it exits with 1 and names each of them', async () => {
      const required = variables.filter((one) => one.required).map((one) => one.name);
      const kept = Object.entries(await ready()).filter(([variable]) => !required.includes(variable));
      const started = startProcess(name, Object.fromEntries(kept));
      expect(await started.exited).toBe(1);
      expect(required.filter((variable) => !started.errors().includes(variable))).toEqual([]);
    });

    it('When variables are wrong, then it exits with 1 and names each of them, but no value', async () => {
      const wrong = variables.flatMap(({ name: variable, schema }) => {
        const value = WRONG_VALUES.find(
          (text) => schema && documents.checkSchema(schema, text) !== undefined,
        );
        return value === undefined ? [] : [[variable, value] as const];
      });
      const started = startProcess(name, { ...(await ready()), ...Object.fromEntries(wrong) });
      expect(await started.exited).toBe(1);
      expect(wrong.filter(([variable]) => !started.errors().includes(variable))).toEqual([]);
      expect(started.errors()).not.toContain('two words');
    });

    it('When variables are empty, then they count as unset, and SIGINT ends the service with 0', async () => {
      const env = await ready();
      const unset = variables
        .filter((one) => !one.required && !(one.name in env))
        .map((one) => [one.name, '']);
      const started = await startReadyProcess(
        name,
        sidecar().port,
        Object.fromEntries(unset) as Record<string, string>,
      );
      expect(await started.end('SIGINT')).toBe(0);
    });

    it('When SIGTERM arrives with work in flight, then the work completes and the exit code is 0', async () => {
      const ending = await checkService(name, { count: 1 });
      const [event] = received;
      const route = routes.find(({ method }) => method === 'GET')!;
      const send = async () =>
        event
          ? ending.deliver(event.type, event.event['data'])
          : (await ending.call('GET', pathOf(route) + queryOf(route), { headers: callerFor(route) })).status;
      const expected = await send();
      ending.reset();
      const called = holdStateCalls(ending.sidecar, () => delay(300));
      const answer = send();
      await Promise.race([called, answer]);
      const code = ending.replicas[0]!.end('SIGTERM');
      expect(await answer).toBe(expected);
      expect(await code).toBe(0);
      await ending.sidecar.close();
    });

    it('When it starts before its sidecar answers, then it is alive and not ready', async () => {
      const closed = await startFakeSidecar();
      await closed.close();
      const started = startProcess(name, environment(await freePort(), closed.port));
      const statusOf = (path: string) =>
        fetch(`${started.url}${path}`).then(
          ({ status }) => status,
          () => 0,
        );
      await waitFor('it is alive', async () => (await statusOf('/healthz')) === 200, { timeoutMs: 60_000 });
      expect(await statusOf('/readyz')).toBe(503);
      expect(await started.end('SIGTERM')).toBe(0);
    });
  });
}

/** The rules of CONTRACT.md, Probes, logs, metrics. */
export function describeProbes({
  name,
  documents,
  sidecar,
  replica,
  call,
  pathOf,
  queryOf,
  callerFor,
}: Subject): void {
  const metricsOf = async () =>
    (await (await fetch(`${replica().url}/metrics`)).text()).split('\n').map(parseSeries);

  describe('CONTRACT.md, Probes, logs, metrics', () => {
    it('When the sidecar is unavailable, then /readyz is 503 and /healthz is 200', async () => {
      sidecar().fail('health');
      expect((await call('GET', '/readyz')).slug).toBe('unavailable');
      const { status, body } = await call('GET', '/healthz', { headers: { 'dapr-api-token': '' } });
      expect([status, body]).toEqual([200, { status: 'ok' }]);
    });

    it('When no label is open, then the series of a counter and of a histogram start at zero', async () => {
      const series = await metricsOf();
      const missing = documents.openapi['x-metrics'].flatMap(
        ({ name: metric, type, labels, buckets = [] }) => {
          const known = Object.entries(labels).filter(([, values]) => Array.isArray(values)) as [
            string,
            string[],
          ][];
          if (type === 'gauge' || known.length < Object.keys(labels).length) return [];
          const bounds = type === 'histogram' ? buckets.map((bound) => ({ le: bound })) : [{ le: undefined }];
          const found = (labelled: Record<string, string>, le: number | undefined) =>
            series.some(
              (one) =>
                one.name === (le === undefined ? metric : `${metric}_bucket`) &&
                contains(one.labels, labelled) &&
                (le === undefined || Number(one.labels['le']) === le),
            );
          return combinations(known)
            .flatMap((labelled) => bounds.map(({ le }) => [labelled, le] as const))
            .filter(([labelled, le]) => !found(labelled, le))
            .map(([labelled, le]) => `${metric} ${JSON.stringify(labelled)} ${le ?? ''}`);
        },
      );
      expect(missing).toEqual([]);
    });

    it.each(documents.routes.slice(0, 1).map((route) => [`${route.method} ${route.path}`, route] as const))(
      'When %s ends, then it is counted and logged with its ids',
      async (_, route) => {
        const [requestId, traceparent, path] = [randomUUID(), TRACE(), pathOf(route)];
        const { status, headers } = await call(route.method, path + queryOf(route), {
          headers: { ...callerFor(route), 'x-request-id': requestId, traceparent },
        });
        expect(headers.get('x-request-id')).toBe(requestId);
        const line = await requestLine(replica(), requestId);
        expect(line).toMatchObject({
          service: name,
          method: route.method,
          path,
          route: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
          status,
          trace_id: traceparent.split('-')[1],
          level: expect.any(String) as string,
          duration_ms: expect.any(Number) as number,
          outcome: status < 400 ? 'ok' : status < 500 ? 'refused' : 'failed',
        });
        expect(Date.parse(String(line['time']))).toBeGreaterThan(0);
        const labels = {
          protocol: 'http',
          method: route.method,
          route: String(line['route']),
          status: String(status),
        };
        const counted = (one: Series) => one.name === 'requests_total' && contains(one.labels, labels);
        expect((await metricsOf()).some(counted)).toBe(true);
      },
    );
  });
}

interface Series {
  name: string;
  labels: Record<string, string>;
}

function parseSeries(line: string): Series {
  const [, name = '', labels = ''] = /^([\w:]+)(?:\{(.*?)\})? /.exec(line) ?? [];
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [label, value]);
  return { name, labels: Object.fromEntries(pairs) as Record<string, string> };
}

const contains = (labels: Record<string, string>, wanted: Record<string, string>) =>
  Object.entries(wanted).every(([label, value]) => labels[label] === value);

const combinations = (known: [string, string[]][]) =>
  known.reduce<Record<string, string>[]>(
    (all, [label, values]) => all.flatMap((others) => values.map((value) => ({ ...others, [label]: value }))),
    [{}],
  );
