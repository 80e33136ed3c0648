import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { parseTwins } from '../../deploy/local/programs/twins.ts';
import { createFaultTypes, type FaultType, type FaultTypeOptions } from '../faults/fault-types.ts';
import { createSchedule } from '../faults/schedule.ts';
import { waitFor } from '../support/wait.ts';

const AN_HOUR_MS = 3_600_000;
const Real = globalThis.Date;
const clockDir = mkdtempSync(join(tmpdir(), 'sidecart-clocks-'));

/** A system in which this process stands for every service. */
const system = {
  app: () => ({ service: { pid: () => process.pid } }),
} as unknown as RunningSystem;
const options: FaultTypeOptions = {
  dataDir: clockDir,
  remoteHost: undefined,
  remoteReplicas: [],
  smallDisk: undefined,
  broker: 'Redis',
  databases: [],
  databaseServer: undefined,
  nameServer: undefined,
  clockDir,
  twins: [],
};
const faultTypes = createFaultTypes(system, options);
const clocks = faultTypes.filter(({ name }) => name.startsWith('clock of '));

beforeAll(async () => {
  process.env['CLOCK_DIR'] = clockDir;
  await import('../faults/clock.ts');
});
afterAll(() => {
  globalThis.Date = Real;
  process.removeAllListeners('SIGUSR2');
  delete process.env['CLOCK_DIR'];
  rmSync(clockDir, { recursive: true, force: true });
});

/** By how much the clock is ahead, rounded to minutes. */
const ahead = () => Math.round((Date.now() - Real.now()) / 60_000) * 60_000;
const waitForOffset = (ms: number) =>
  waitFor(`the clock is ${ms} ms ahead`, () => ahead(), { until: (now) => now === ms });

describe('clocks that are set', () => {
  it('When the fault types are listed, then the clock of every service is set forward and back', () => {
    const services = readTemplate().apps.map(({ appID }) => appID);
    const names = services.flatMap((service) => [
      `clock of ${service} an hour ahead`,
      `clock of ${service} an hour back`,
    ]);
    expect(clocks.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    const targets = clocks.find(({ name }) => name === 'clock of orders an hour back')?.targets;
    expect(targets?.map(({ name }) => name)).toEqual(['orders', 'orders-2']);
  });

  it('When a twin replaces a service, then only its clock stays as it is', () => {
    const found = createFaultTypes(system, { ...options, twins: parseTwins('payments=python') });
    const names = new Set(found.map(({ name }) => name));
    const missing = faultTypes.map(({ name }) => name).filter((name) => !names.has(name));
    expect(missing).toEqual(['clock of payments an hour ahead', 'clock of payments an hour back']);
  });

  it('When ten minutes are planned, then each of these faults occurs', () => {
    const plan = createSchedule({ seed: '1', lengthMs: 600_000, faultTypes });
    const planned = new Set(plan.map(({ type }) => type));
    expect(clocks.filter(({ name }) => !planned.has(name))).toEqual([]);
  });

  it.each([
    ['ahead', AN_HOUR_MS],
    ['back', -AN_HOUR_MS],
  ])(
    'When a clock is set by an hour %s, then it stays so until the end, and durations are unaffected',
    async (where, by) => {
      const faultType = clocks.find(({ name }) => name === `clock of users an hour ${where}`) as FaultType;
      const before = performance.now();
      const end = await faultType.begin('users');
      await waitForOffset(by);
      expect(Math.abs(new Date().getTime() - Date.now())).toBeLessThan(1_000);
      expect(new Date('2026-01-01T00:00:00.000Z').getTime()).toBe(Real.UTC(2026, 0, 1));
      expect(performance.now() - before).toBeLessThan(60_000);
      await end();
      await waitForOffset(0);
    },
  );
});
