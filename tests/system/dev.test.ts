import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSystemReady } from '../../deploy/local/system/app-processes.ts';
import { findPortHolder } from '../../deploy/local/machine/port-holder.ts';
import {
  startProcess,
  waitFor as waitForProcess,
  type RunningProcess,
} from '../../deploy/local/machine/processes.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { copyCheckout } from '../support/checkout.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { sidecarPorts } from '../support/started-system.ts';
import { waitFor } from '../support/wait.ts';

const OFFSET = PORT_OFFSETS.dev;
const api = `http://localhost:${8080 + OFFSET}`;

const sidecars = sidecarPorts(OFFSET);

/** A copy, because the test changes its code. */
let checkout: string;
let dev: RunningProcess;

function npm(script: string): RunningProcess {
  return startProcess(`npm-${script}`, 'npm', ['run', script], {
    logDir: checkout,
    cwd: checkout,
    env: { PORT_OFFSET: String(OFFSET), INIT_CWD: '', RATE_LIMIT_DEFAULT: '1000000' },
  });
}
const output = ({ logFile }: RunningProcess) => readFileSync(logFile, 'utf8');

beforeAll(async () => {
  checkout = copyCheckout('dev');
  dev = npm('dev');
  await waitForProcess('npm run dev', () => Promise.resolve(output(dev).includes('Watching services')), {
    timeoutMs: 170_000,
    process: dev,
  });
});
afterAll(async () => {
  await dev?.stop('SIGTERM', 60_000);
  rmSync(checkout, { recursive: true, force: true });
});

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(join(checkout, file), 'utf8');
  expect(text).toContain(from);
  writeFileSync(join(checkout, file), text.replace(from, to));
}
/** The services with their process ids. */
const holders = (port: 'appPort' | 'daprHTTPPort') =>
  readTemplate().apps.map((app) => findPortHolder(app[port] + OFFSET) ?? '');

describe.runIf(existsSync('/proc/net/tcp'))('npm run dev', () => {
  it('When code of a service changes, then only that service restarts, and all sidecars stay', async () => {
    const [services, around] = [holders('appPort'), holders('daprHTTPPort')];
    edit('services/gateway/http/docs.ts', '<title>Sidecart API</title>', '<title>Changed</title>');

    await waitFor('the new page is served', docs, {
      until: (page) => page.includes('<title>Changed</title>'),
      timeoutMs: 50_000,
    });
    await waitFor('all is reached', () => isSystemReady(api, sidecars), { timeoutMs: 30_000 });
    const [gateway, ...others] = holders('appPort');
    expect(gateway).toContain('gateway');
    expect(gateway).not.toBe(services[0]);
    expect(others).toEqual(services.slice(1));
    expect(holders('daprHTTPPort')).toEqual(around);
    expect(output(dev)).toContain('gateway runs the new code');
  }, 90_000);

  it('When it does not compile, then the processes stay, and restart once it does', async () => {
    edit('services/gateway/http/docs.ts', '<title>Changed</title>', '<title>${notThere}</title>');
    await waitFor('the message is printed', () => output(dev), {
      until: (text) => text.includes('The code does not compile'),
      timeoutMs: 50_000,
    });
    expect(await docs()).toContain('<title>Changed</title>');
    edit('services/gateway/http/docs.ts', '<title>${notThere}</title>', '<title>Again</title>');
    await waitFor('the new page is served', docs, {
      until: (page) => page.includes('<title>Again</title>'),
      timeoutMs: 50_000,
    });
  }, 110_000);

  it('When a component file changes, then a message asks for a restart', async () => {
    const before = holders('appPort');
    edit('components/state.yaml', 'apiVersion', '# Changed.\napiVersion');
    await waitFor('the message is printed', () => output(dev), {
      until: (text) => text.includes('components/state.yaml has changed'),
    });
    expect(holders('appPort')).toEqual(before);
  });

  it('When a second one is started, then it names the first, exits with 1, and the first continues', async () => {
    const second = npm('start');
    await second.exited;
    expect(output(second)).toMatch(/A system is already running in \S+ \(process \d+\)/);
    expect(await isSystemReady(api, sidecars)).toBe(true);
  });
});

async function docs(): Promise<string> {
  const response = await fetch(`${api}/docs`).catch(() => undefined);
  return (await response?.text()) ?? '';
}
