import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../services/shared/runtime/config.ts';
import { createLiveSettings, type LiveSettings } from '../../services/shared/runtime/live-settings.ts';
import { integer, live } from '../../services/shared/runtime/settings.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { createSidecarClient } from '../support/service-under-test.ts';

const limit = integer({ min: 1, max: 100, example: 10 });
const schema = z
  .object({ LIMIT: live(limit.default(10)), QUEUE: live(limit.default(20)), PORT: limit.default(30) })
  .refine(({ LIMIT, QUEUE }) => LIMIT <= QUEUE, {
    path: ['LIMIT'],
    error: 'must not be greater than QUEUE',
    params: { example: '10' },
  })
  .transform(({ LIMIT, QUEUE, PORT }) => ({ limit: LIMIT, queue: QUEUE, port: PORT }));
type Config = z.infer<typeof schema>;

let fake: FakeSidecar;
let sidecar: Sidecar;
let logs: Record<string, unknown>[];
let changes: Config[];
let settings: LiveSettings<Config>;

const log = createLogger('shop', 'debug', {
  write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>),
});
const settingsWith = (env: Record<string, string>) =>
  createLiveSettings({
    service: 'shop',
    schema,
    env,
    config: loadConfig(schema, env),
    sidecar,
    log,
    onChange: (config) => void changes.push(config),
  });
const warnings = () => logs.filter(({ level }) => level === 'warn');

beforeEach(async () => {
  fake = await startFakeSidecar();
  sidecar = createSidecarClient(fake.port);
  logs = [];
  changes = [];
  settings = settingsWith({ LIMIT: '5' });
});
afterEach(async () => {
  vi.useRealTimers();
  await settings.stop();
  await sidecar.close();
  await fake.close();
});

describe('the settings of a service', () => {
  it('When the store has none, then they are those of the environment', async () => {
    await settings.refresh();
    expect(settings.current()).toEqual({ limit: 5, queue: 20, port: 30 });
    expect([changes, logs]).toEqual([[], []]);
  });

  it('When the store has a value, then it is effective until it is deleted', async () => {
    fake.configuration.set('shop/LIMIT', '7').set('other/QUEUE', '50').set('LIMIT', '8');
    await settings.refresh();
    await settings.refresh();
    expect(settings.current()).toEqual({ limit: 7, queue: 20, port: 30 });
    expect(changes).toEqual([{ limit: 7, queue: 20, port: 30 }]);
    expect(logs).toMatchObject([{ setting: 'LIMIT', value: '7', msg: 'setting changed' }]);
    fake.configuration.delete('shop/LIMIT');
    await settings.refresh();
    expect(settings.current().limit).toBe(5);
    fake.configuration.set('shop/LIMIT', '9');
    await settings.refresh();
    fake.configuration.set('shop/LIMIT', '');
    await settings.refresh();
    expect(settings.current().limit).toBe(5);
    expect(warnings()).toEqual([]);
  });

  it.each([
    ['LIMIT', 'seven', 'LIMIT: must be a whole number from 1 to 100, in digits without a unit.'],
    ['LIMIT', '21', 'LIMIT: must not be greater than QUEUE.'],
    ['PORT', '31', 'PORT: is no setting that can change at run time.'],
    ['LIMITT', '7', 'LIMITT: is no setting that can change at run time.'],
  ])(
    'When the store has %s=%s, then they stay, and one log line states why',
    async (name, value, problem) => {
      fake.configuration.set('shop/LIMIT', '7');
      await settings.refresh();
      fake.configuration.set(`shop/${name}`, value).set('shop/QUEUE', '20');
      await settings.refresh();
      await settings.refresh();
      expect(settings.current()).toEqual({ limit: 7, queue: 20, port: 30 });
      expect(warnings()).toMatchObject([{ setting: name }]);
      expect(warnings()[0]?.['problem']).toContain(problem);
    },
  );

  it('When one value is wrong, then the others are effective, and so is its correction', async () => {
    fake.configuration.set('shop/LIMIT', 'many').set('shop/QUEUE', '40');
    await settings.refresh();
    expect(settings.current()).toEqual({ limit: 5, queue: 40, port: 30 });
    fake.configuration.set('shop/LIMIT', '30');
    await settings.refresh();
    expect(settings.current()).toEqual({ limit: 30, queue: 40, port: 30 });
    fake.configuration.set('shop/LIMIT', 'many');
    await settings.refresh();
    expect(warnings()).toHaveLength(2);
  });

  it('When the store is unavailable, then they stay', async () => {
    fake.configuration.set('shop/LIMIT', '7');
    await settings.refresh();
    fake.fail('configure', 1);
    await expect(settings.refresh()).rejects.toThrow('read the configuration');
    expect(settings.current().limit).toBe(7);
  });
});

describe('the reads of the store', () => {
  it('When the store is unavailable, then reads become less frequent, and one log line reports it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let reads = 0;
    let isAvailable = true;
    settings = createLiveSettings({
      service: 'shop',
      schema,
      env: {},
      config: loadConfig(schema, {}),
      sidecar: {
        readConfiguration() {
          reads += 1;
          return isAvailable ? Promise.resolve(new Map()) : Promise.reject(new Error('no store'));
        },
      },
      log,
    });
    const readsIn = async (ms: number) => {
      const before = reads;
      await vi.advanceTimersByTimeAsync(ms);
      return reads - before;
    };
    settings.start();
    expect(reads).toBe(1);
    expect(await readsIn(10_000)).toBe(5);
    isAvailable = false;
    // After 2, 2, 4, 8, 16, 30, 30 ... seconds.
    expect(await readsIn(32_000)).toBe(5);
    expect(await readsIn(300_000)).toBe(10);
    expect(warnings()).toHaveLength(1);
    isAvailable = true;
    await readsIn(30_000);
    expect(logs.at(-1)).toMatchObject({ msg: 'the configuration store is available again' });
    expect(await readsIn(10_000)).toBe(5);
    await settings.stop();
    expect(await readsIn(60_000)).toBe(0);
  });
});
