import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startProcess,
  waitFor as waitForProcess,
  type RunningProcess,
} from '../../deploy/local/machine/processes.ts';
import { createClient } from '../../services/gateway/client/client.ts';
import { copyCheckout } from '../support/checkout.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const OFFSET = PORT_OFFSETS.newService;
const api = `http://localhost:${8080 + OFFSET}`;

/** A copy, because the command changes it. */
let checkout: string;

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: checkout, encoding: 'utf8' });
}

beforeAll(() => void (checkout = copyCheckout('new-service')));
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

describe('npm run new-service', () => {
  it('creates four files and an entry in the list, and generates the rest', () => {
    const output = run('npm', 'run', '--silent', 'new-service', '--', 'loyalty');
    expect(output).toContain(
      'Created: services/loyalty/main.ts, services/loyalty/app.ts, services/loyalty/api.ts, tests/component/loyalty.test.ts, and an entry in services/services.ts.',
    );
  }, 60_000);

  it('refuses a name that is taken, and a name that cannot be a host', () => {
    const refusal = (name: string) => {
      try {
        return run('npm', 'run', '--silent', 'new-service', '--', name);
      } catch (error) {
        return String((error as { stderr: Buffer | string }).stderr);
      }
    };
    expect(refusal('orders')).toContain('services/orders already exists.');
    expect(refusal('My Service')).toContain('A name has 2 to 20 small letters and digits');
  }, 60_000);

  it('leaves a checkout in which types, lint, format and the tests of the structure are green', () => {
    run('npm', 'run', '--silent', 'types');
    run('npm', 'run', '--silent', 'lint');
    run('npm', 'run', '--silent', 'format:check');
    const output = run(
      'npx',
      'vitest',
      'run',
      '--config=tests/vitest.config.ts',
      '--project=component',
      '--project=deploy',
      ...['loyalty', 'access', 'architecture', 'openapi', 'public-texts'].map(
        (name) => `tests/component/${name}.test.ts`,
      ),
      ...['generated', 'compose', 'kubernetes-manifests', 'ports'].map(
        (name) => `tests/deploy/${name}.test.ts`,
      ),
    );
    expect(output).toMatch(/Test Files .*9 passed/);
  }, 120_000);

  it('makes a service that starts with the others and counts a delivered order', async () => {
    const system: RunningProcess = startProcess('npm-start', 'npm', ['start'], {
      logDir: checkout,
      cwd: checkout,
      env: { PORT_OFFSET: String(OFFSET), INIT_CWD: '', RATE_LIMIT_DEFAULT: '1000000' },
    });
    try {
      const isReady = async () => (await health())?.services['loyalty']?.status === 'ok';
      await waitForProcess('npm start', isReady, { timeoutMs: 170_000, process: system });
      const customer = await registerCustomer(api);
      const { orderId } = await placeOrder(customer);
      await waitForStatus(customer, orderId, 'DELIVERED');
      const count = await waitFor('the order is counted', () => delivered(customer));
      expect(count).toBe(1);
    } finally {
      await system.stop('SIGTERM', 60_000);
    }
  }, 240_000);
});

async function health() {
  const { body } = await createClient(api)('GET /health').catch(() => ({ body: undefined }));
  return body && 'services' in body ? body : undefined;
}

async function delivered({ userId, call }: Caller): Promise<number> {
  const response = await fetch(`${api}/api/loyalty/${userId}`, {
    headers: { authorization: `Bearer ${call.tokens()?.access_token}` },
  });
  return ((await response.json()) as { delivered: number }).delivered;
}
