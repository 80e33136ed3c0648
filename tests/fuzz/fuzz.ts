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
import { MIN_SUCCESS_RATE, countResponses, formatTable, belowMinimum } from './shares.ts';

const CONFIG = join(root, 'tests/fuzz/schemathesis.toml');
const HOOKS = join(root, 'tests/fuzz/hooks.py');

/** The name of an operation in Schemathesis. */
const operationName = ({ method, path }: { method: string; path: string }) =>
  `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`;

/** Runs the fuzzer. @returns the exit status: 0 without findings, if every operation was reached */
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
        // A slow machine must not shed orders, because fuzzing would count the 503 as a failure.
        orders: { ORDER_MAX_QUEUE_WAIT_MS: '600000' },
      },
    });
    const { api } = system.urls;
    const admin = await login(api, system.admin.email, system.admin.password);
    const customer = await registerCustomer(api);
    await Promise.all([
      createOrdersOfEveryStatus(admin),
      createOrdersOfEveryStatus(customer),
      createDeadLetters(system, admin),
    ]);

    // Schemathesis does not test the operation that it loads the document from, so it gets a file.
    const document = join(dataDir, 'openapi.json');
    writeFileSync(document, await (await fetch(`${api}/openapi.json`)).text());
    const adminOperations = routes.filter(({ access }) => access === 'admin').map(operationName);
    const runSchemathesis = (caller: Caller, role: string, options: string[]) =>
      runProgram(
        program,
        [
          `--config-file=${CONFIG}`,
          'run',
          document,
          `--url=${api}`,
          '--report=ndjson',
          `--report-ndjson-path=${reportPath(dataDir, role)}`,
          ...options,
          ...seed,
          ...args,
        ],
        dataDir,
        {
          SCHEMATHESIS_HOOKS: HOOKS,
          PYTHONDONTWRITEBYTECODE: '1',
          FUZZ_API: api,
          FUZZ_CALLER: callerJson(caller, role),
        },
      );
    console.log('\nFuzzing as an administrator and as a customer, for about two minutes.');
    const runs = await Promise.all([
      runSchemathesis(admin, 'admin', []),
      runSchemathesis(
        customer,
        'customer',
        adminOperations.map((name) => `--exclude-name=${name}`),
      ),
    ]);
    for (const { text } of runs) console.log(text);

    const lines = ['admin', 'customer'].flatMap((role) =>
      readFileSync(reportPath(dataDir, role), 'utf8').trimEnd().split('\n'),
    );
    const counts = countResponses(lines, routes.map(operationName));
    console.log(formatTable(counts));
    const tooFewSuccesses = belowMinimum(counts).map(({ operation }) => operation);
    if (tooFewSuccesses.length > 0)
      console.error(
        `\nFewer than ${MIN_SUCCESS_RATE * 100} % of the responses were 2xx:\n${tooFewSuccesses.join('\n')}`,
      );
    return Math.max(tooFewSuccesses.length > 0 ? 1 : 0, ...runs.map(({ code }) => code));
  } finally {
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const reportPath = (dataDir: string, role: string) => join(dataDir, `${role}.ndjson`);

/** The caller, as hooks.py reads it. */
const callerJson = ({ userId, call }: Caller, role: string) =>
  JSON.stringify({ role, user_id: userId, token: call.tokens()?.access_token });

/** Creates two orders in each final status that a caller can cause. */
async function createOrdersOfEveryStatus(caller: Caller): Promise<void> {
  const outcomes: [OrderStatus, Parameters<typeof placeOrder>[1]][] = [
    ['DELIVERED', {}],
    ['PAYMENT_FAILED', { card: 'tok_chargeDeclined' }],
    ['REJECTED', { product: 'print-signed', quantity: 10_000 }],
    ['CANCELLED', {}],
  ];
  for (const [status, order] of [...outcomes, ...outcomes]) {
    const { orderId } = await placeOrder(caller, order);
    if (status === 'CANCELLED')
      await caller.call('POST /api/orders/:id/cancel', { params: { id: orderId }, body: {} });
    await waitForStatus(caller, orderId, status);
  }
}

/** Creates two dead letters from events that no handler can process. */
async function createDeadLetters(system: RunningSystem, admin: Caller): Promise<void> {
  for (const id of [randomUUID(), randomUUID()]) await publishUnprocessable(system.app('payments'), id);
  await waitFor('the dead letters are listed', () => admin.call('GET /api/admin/dead-letters'), {
    until: ({ ok, body }) => ok && body.items.length > 1,
  });
}

/** Runs a program in a folder for its files, and returns its output. */
function runProgram(
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
