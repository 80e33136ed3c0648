import { Router } from 'express';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  createSubscriptionRouter,
  onEvent,
  UnprocessableEvent,
} from '../../services/shared/dapr/subscriptions.ts';
import { notFound } from '../../services/shared/http/problem.ts';
import { createService } from '../../services/shared/runtime/service-app.ts';
import { defineEvents } from '../../services/shared/schemas/published-events.ts';
import { isSampled } from '../../services/shared/telemetry/logger.ts';
import { readableLine } from '../../services/shared/telemetry/readable-log.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const events = defineEvents('kitchen', { 'soup.served': z.object({ plates: z.int() }) });

let service: ServiceUnderTest;
const start = (logSampleRatio: number) =>
  startService((deps) => {
    const routes = Router();
    routes.get('/soups/:id', (req, res) => {
      if (req.params.id === 'none') throw notFound('soup');
      if (req.params.id === 'hot') throw new Error('too hot');
      res.json({});
    });
    const subscriptions = createSubscriptionRouter(deps, [
      onEvent(events, 'soup.served', ({ plates }) => {
        if (plates === 0) throw new UnprocessableEvent('no plate');
        return plates < 0 ? Promise.reject(new Error('try again')) : Promise.resolve();
      }),
    ]);
    return createService(
      { ...deps, logSampleRatio: () => logSampleRatio },
      { routers: [routes, subscriptions] },
    );
  });
beforeEach(async () => {
  service = await start(1);
});
afterEach(() => service.stop());

const lines = () => service.logs.filter(({ msg }) => msg === 'request completed');
const get = (path: string) =>
  service.http.get(path).set({
    traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`,
    'x-caller-id': 'ada',
    'dapr-caller-app-id': 'gateway',
  });
const serve = (plates: number) =>
  service.deliver('soup.served', { plates }, { source: 'kitchen', subject: 'leek' });

describe('the line of a request', () => {
  it.each([
    ['/soups/leek', { status: 200, outcome: 'ok' }],
    ['/soups/none', { status: 404, outcome: 'refused', problem: 'not-found' }],
    ['/soups/hot', { status: 500, outcome: 'failed', problem: 'internal-error' }],
  ])(
    'When %s is requested, then one line has what, who, how long, the outcome and the ids',
    async (path, expected) => {
      await get(path);
      expect(lines()).toEqual([
        expect.objectContaining({
          method: 'GET',
          route: '/soups/:id',
          path,
          caller_id: 'ada',
          caller_app: 'gateway',
          duration_ms: expect.any(Number) as number,
          request_id: expect.any(String) as string,
          trace_id: TRACE_ID,
          span_id: SPAN_ID,
          ...expected,
        }),
      ]);
    },
  );

  it.each([
    [1, 'SUCCESS'],
    [0, 'DROP'],
    [-1, 'RETRY'],
  ])('When an event with %i plates arrives, then the line has the event and %s', async (plates, outcome) => {
    expect(await serve(plates)).toBe(outcome);
    expect(lines()).toMatchObject([{ event_type: 'soup.served', subject: 'leek', status: 200, outcome }]);
  });

  it('When successes are sampled, then every failure still has its line', async () => {
    await service.stop();
    service = await start(0);
    for (const path of ['/soups/leek', '/soups/none', '/soups/hot']) await get(path);
    for (const plates of [1, 0, -1]) await serve(plates);
    expect(lines().map(({ outcome }) => outcome)).toEqual(['refused', 'failed', 'DROP', 'RETRY']);
  });
});

describe('sampling of lines', () => {
  it('When a share is kept, then all services keep the same traces', () => {
    const kept = ['00000000', '19999998', '1999999a', 'ffffffff'].map((end) =>
      isSampled(0.1, { trace_id: `0af7651916cd43dd8448eb21${end}` }),
    );
    expect(kept).toEqual([true, true, false, false]);
  });
});

describe('a line on a terminal', () => {
  it('When a line has fields and an error, then people can read it', () => {
    const line = {
      level: 'warn',
      time: '2026-01-05T09:30:00.123Z',
      service: 'orders',
      order_id: '1',
      tries: { left: 2 },
      err: { type: 'Error', stack: 'Error: no store\n    at save' },
      msg: 'saving failed',
    };
    expect(readableLine(JSON.stringify(line))).toBe(
      '09:30:00.123 warn orders: saving failed order_id=1 tries={"left":2}\nError: no store\n    at save\n',
    );
  });
});
