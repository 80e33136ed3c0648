import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Diagnosis } from '../../deploy/local/doctor/diagnose.ts';
import { root } from '../../deploy/local/machine/paths.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { callSidecar, publishUnprocessable } from '../support/real-sidecar.ts';
import { login, registerCustomer, placeOrderWithRetry, waitForStatus, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const offset = PORT_OFFSETS.doctor;
/** The folder in which `npm start` would have the data of this system. */
const dataDir = join(root, '.sidecart', `offset-${offset}`);

let system: RunningSystem;
let customer: Caller;
beforeAll(async () => {
  rmSync(dataDir, { recursive: true, force: true });
  system = await startSystem({
    dataDir,
    portOffset: offset,
    env: { gateway: { RATE_LIMIT_AUTH: '1000' } },
  });
  customer = await registerCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** `npm run doctor`, as scripts run it. */
async function runDoctor(env: Record<string, string> = {}) {
  const { code, stdout } = await npm(['run', '--silent', 'doctor', '--', '--json'], env);
  return { code, diagnosis: JSON.parse(stdout) as Diagnosis };
}

function npm(args: string[], env: Record<string, string>): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    const options = { cwd: root, env: { ...process.env, PORT_OFFSET: String(offset), ...env } };
    execFile('npm', args, options, (error, stdout) =>
      resolve({ code: error ? Number(error.code) : 0, stdout }),
    );
  });
}

/** The problems of the system, by check. */
async function problems(): Promise<string[]> {
  const { code, diagnosis } = await runDoctor();
  const found = diagnosis.findings.filter(({ status }) => status === 'problem');
  expect(code).toBe(found.length > 0 ? 1 : 0);
  expect(found.filter(({ advice }) => !advice)).toEqual([]);
  return found.map(({ check, message }) => `${check}: ${message}`);
}
const isHealthy = () => waitFor('the system is healthy', problems, { until: ({ length }) => length === 0 });

describe('npm run doctor', () => {
  it('When orders flow, then every check is fine, or states why it was skipped', async () => {
    const { orderId } = await placeOrderWithRetry(customer);
    await waitForStatus(customer, orderId, 'DELIVERED');
    const { diagnosis } = await waitFor('the system is healthy', runDoctor, {
      until: ({ code }) => code === 0,
      timeoutMs: 40_000,
    });
    const checks = diagnosis.findings.filter(({ status }) => status === 'ok').map(({ check }) => check);
    expect(checks).toEqual([
      'services',
      'sidecars',
      'components',
      'subscriptions',
      'scheduler',
      'placement',
      'backlog',
      'orders',
      'dead letters',
      'clocks',
      'ports',
      'memory',
      'disk',
    ]);
    expect(diagnosis.findings.filter(({ status }) => status === 'skipped')).toMatchObject([
      { check: 'certificates' },
    ]);
    const { stdout } = await npm(['run', '--silent', 'doctor'], {});
    expect(stdout).toMatch(/^ok +subscriptions +all \d+ of services\/access\.ts are loaded$/m);
  });

  it('When a service is killed, then it is named', async () => {
    const { service } = system.app('payments');
    await service.stop('SIGKILL');
    expect(await problems()).toContainEqual(expect.stringMatching(/^services: payments does not run: /));
    await service.start();
  });

  it('When a service is frozen, then it is named with its process', async () => {
    const { service } = system.app('notifications');
    process.kill(service.pid(), 'SIGSTOP');
    expect(await problems()).toContainEqual(
      expect.stringMatching(
        /^services: notifications does not respond on port \d+, which belongs to .*process/,
      ),
    );
    process.kill(service.pid(), 'SIGCONT');
  });

  it('When a sidecar is killed, then it is named', async () => {
    const { sidecar } = system.app('history');
    await sidecar.stop('SIGKILL');
    expect(await problems()).toContainEqual(
      expect.stringMatching(/^sidecars: The sidecar of history does not run: /),
    );
    await sidecar.start();
  });

  it('When the scheduler is killed, then jobs are said not to run', async () => {
    const scheduler = system.infrastructure('Dapr scheduler');
    await scheduler.stop('SIGKILL');
    expect(await problems()).toContainEqual(expect.stringMatching(/^scheduler: /));
    await scheduler.start();
    await isHealthy();
  });

  it('When placement is killed, then workflows are said not to run', async () => {
    const placement = system.infrastructure('Dapr placement');
    await placement.stop('SIGKILL');
    expect(await problems()).toContainEqual(expect.stringMatching(/^placement: /));
    await placement.start();
    await isHealthy();
  });

  it('When Redis is killed, then the backlog is unknown', async () => {
    const redis = system.infrastructure('Redis');
    await redis.stop('SIGKILL');
    expect(await problems()).toContainEqual(
      expect.stringMatching(/^backlog: Redis does not respond on port \d+/),
    );
    await redis.start();
    await isHealthy();
  });

  it('When messages wait for a service, then the doctor counts them', async () => {
    const { service, sidecar } = system.app('fulfilment');
    await Promise.all([service.stop(), sidecar.stop()]);
    const { orderId } = await placeOrderWithRetry(customer);
    await waitForStatus(customer, orderId, 'PAID');
    const found = await waitFor('the message is old', problems, {
      until: (all) => all.some((problem) => problem.startsWith('backlog')),
      timeoutMs: 45_000,
    });
    // After 30 s, the watchdog of the order publishes the event once more.
    expect(found).toContainEqual(
      expect.stringMatching(
        /^backlog: fulfilment has not processed (one message|\d messages) of order\.paid, the oldest for 3\d s/,
      ),
    );
    await Promise.all([service.start(), sidecar.start()]);
    await waitForStatus(customer, orderId, 'DELIVERED', 30_000);
    await isHealthy();
  });

  it('When there is a dead letter, then its type and id are named', async () => {
    expect((await publishUnprocessable(system.app('payments'), 'for-the-doctor')).ok).toBe(true);
    const found = await waitFor('the dead letter is found', problems, { until: ({ length }) => length > 0 });
    expect(found).toEqual([
      expect.stringMatching(
        /^dead letters: No handler could process one message of payment\.failed, .*\([\da-f]{32}\)/,
      ),
    ]);
  });

  it('When an access token is given, then it is used, and a wrong one is a problem', async () => {
    const admin = await login(system.urls.api, system.admin.email, system.admin.password);
    const valid = { SIDECART_ACCESS_TOKEN: admin.call.tokens()?.access_token ?? '' };
    const { findings } = (await runDoctor(valid)).diagnosis;
    expect(findings.find(({ check }) => check === 'orders')?.status).toBe('ok');
    const wrong = (await runDoctor({ SIDECART_ACCESS_TOKEN: 'wrong' })).diagnosis.findings;
    expect(wrong.find(({ check }) => check === 'orders')).toMatchObject({ status: 'problem' });
  });

  it('When it has run, then it has printed no secret', async () => {
    const { stdout } = await npm(['run', '--silent', 'doctor', '--', '--json'], {});
    expect(stdout).not.toContain(system.admin.password);
    expect(stdout).not.toContain(system.app('orders').daprApiToken());
    expect((await callSidecar(system.app('orders'), '/v1.0/metadata')).ok).toBe(true);
  });

  it('When the system is stopped, then it does not run', async () => {
    await system.stop();
    expect(await runDoctor()).toEqual({ code: 2, diagnosis: { status: 'not running', findings: [] } });
  });
});
