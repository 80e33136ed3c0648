import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../deploy/local/machine/paths.ts';
import { readPortOffset } from '../../deploy/local/configuration/port-offset.ts';
import { findOrInstallSchemathesis } from './schemathesis.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { routes } from '../../services/gateway/routes.ts';
import type { OrderStatus } from '../../services/orders/contract.ts';
import { publishUnprocessable } from '../support/real-sidecar.ts';
import { login, registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { waitFor } from '../support/wait.ts';
import { LEAST_SHARE, sharesOf, tableOf, tooLow } from './shares.ts';

const CONFIG = join(root, 'tests/fuzz/schemathesis.toml');
const HOOKS = join(root, 'tests/fuzz/hooks.py');

/** As Schemathesis names an operation. */
const nameOf = ({ method, path }: { method: string; path: string }) =>
  `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`;

/** The exit status: 0 where nothing was found, and every operation was reached. */
export async function fuzz(args: readonly string[]): Promise<number> {
  const program = await findOrInstallSchemathesis();
  const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-fuzz-'));
  const seed = args.some((arg) => arg.startsWith('--seed')) ? [] : [`--seed=${randomInt(2 ** 31)}`];
  let system: RunningSystem | undefined;
  try {
    system = await startSystem({
      dataDir,
      portOffset: readPortOffset(8_000),
      env: {
        gateway: NO_RATE_LIMITS,
        fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '200', SIMULATED_DELIVERY_DELAY_MS: '200' },
        // A slow machine must not look like a fault: 503 is the right answer to too many orders.
        orders: { ORDER_MAX_QUEUE_WAIT_MS: '600000' },
      },
    });
    const { api } = system.urls;
    const admin = await login(api, system.admin.email, system.admin.password);
    const customer = await registerCustomer(api);
    await Promise.all([ordersOfEveryEnd(admin), ordersOfEveryEnd(customer), deadLetters(system, admin)]);

    // From a file: the operation that Schemathesis has loaded a document from, it does not test.
    const document = join(dataDir, 'openapi.json');
    writeFileSync(document, await (await fetch(`${api}/openapi.json`)).text());
    const adminsOnly = routes.filter(({ access }) => access === 'admin').map(nameOf);
    const passOf = (caller: Caller, role: string, options: string[]) =>
      output(
        program,
        [
          `--config-file=${CONFIG}`,
          'run',
          document,
          `--url=${api}`,
          '--report=ndjson',
          `--report-ndjson-path=${reportOf(dataDir, role)}`,
          ...options,
          ...seed,
          ...args,
        ],
        dataDir,
        {
          SCHEMATHESIS_HOOKS: HOOKS,
          PYTHONDONTWRITEBYTECODE: '1',
          FUZZ_API: api,
          FUZZ_CALLER: callerAs(caller, role),
        },
      );
    console.log('\nFuzzing as an administrator and as a customer at once: some two minutes.');
    const passes = await Promise.all([
      passOf(admin, 'admin', []),
      passOf(
        customer,
        'customer',
        adminsOnly.map((name) => `--exclude-name=${name}`),
      ),
    ]);
    for (const { text } of passes) console.log(text);

    const lines = ['admin', 'customer'].flatMap((role) =>
      readFileSync(reportOf(dataDir, role), 'utf8').trimEnd().split('\n'),
    );
    const shares = sharesOf(lines, routes.map(nameOf));
    console.log(tableOf(shares));
    const low = tooLow(shares).map(({ operation }) => operation);
    if (low.length > 0)
      console.error(`\nLess than ${LEAST_SHARE * 100} % of the answers were 2xx:\n${low.join('\n')}`);
    return Math.max(low.length > 0 ? 1 : 0, ...passes.map(({ code }) => code));
  } finally {
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const reportOf = (dataDir: string, role: string) => join(dataDir, `${role}.ndjson`);

/** What hooks.py needs to know of a caller. */
const callerAs = ({ userId, call }: Caller, role: string) =>
  JSON.stringify({ role, user_id: userId, token: call.tokens()?.access_token });

/** Two orders for each final status that an order can be brought to. */
async function ordersOfEveryEnd(caller: Caller): Promise<void> {
  const ends: [OrderStatus, Parameters<typeof placeOrder>[1]][] = [
    ['DELIVERED', {}],
    ['PAYMENT_FAILED', { card: 'tok_chargeDeclined' }],
    ['REJECTED', { product: 'print-signed', quantity: 10_000 }],
    ['CANCELLED', {}],
  ];
  for (const [status, order] of [...ends, ...ends]) {
    const { orderId } = await placeOrder(caller, order);
    if (status === 'CANCELLED')
      await caller.call('POST /api/orders/:id/cancel', { params: { id: orderId }, body: {} });
    await waitForStatus(caller, orderId, status);
  }
}

/** Two of them, from events that nobody can process. */
async function deadLetters(system: RunningSystem, admin: Caller): Promise<void> {
  for (const id of [randomUUID(), randomUUID()]) await publishUnprocessable(system.app('payments'), id);
  await waitFor('they are among the dead letters', () => admin.call('GET /api/admin/dead-letters'), {
    until: ({ ok, body }) => ok && body.items.length > 1,
  });
}

/** Runs the program in a folder where it may leave files. */
function output(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<{ code: number; text: string }> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, text }));
  });
}
