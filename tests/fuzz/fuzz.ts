import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { portOffset } from '../../deploy/local/ports.ts';
import { findOrInstallSchemathesis } from '../../deploy/local/schemathesis.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system.ts';
import { UNLIMITED } from '../support/unlimited.ts';
import { login, newCustomer, placeOrder, untilStatus, type Caller } from '../support/shop.ts';

/**
 * Checks that are not asked for: a cursor that no list gave, a product that does not exist and a key that was used before
 * are refused although their form is right, and no schema can say so.
 */
const NOT_ASKED = 'positive_data_acceptance';

/** What happened to the passes: 0 where none found anything. */
export async function fuzz(args: readonly string[]): Promise<number> {
  const program = await findOrInstallSchemathesis();
  const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-fuzz-'));
  const seed = args.some((arg) => arg.startsWith('--seed')) ? [] : [`--seed=${randomInt(2 ** 31)}`];
  let system: RunningSystem | undefined;
  try {
    system = await startSystem({
      dataDir,
      portOffset: portOffset(8_000),
      env: {
        gateway: UNLIMITED,
        fulfilment: { DISPATCH_AFTER_MS: '200', DELIVER_AFTER_MS: '200' },
      },
    });
    const { api } = system.urls;
    const admin = await login(api, system.admin.email, system.admin.password);
    const customer = await newCustomer(api);
    const { orderId } = await placeOrder(customer);
    await untilStatus(customer, orderId, 'DELIVERED');
    const known = join(dataDir, 'known.toml');
    writeFileSync(known, knownIds({ order: orderId, user: customer.userId }));

    const pass = async (name: string, token: string, options: string[]) => {
      console.log(`\n${name}\n`);
      return runProgram(
        program,
        [
          ...options,
          'run',
          `${api}/openapi.json`,
          `--header=Authorization: Bearer ${token}`,
          `--exclude-checks=${NOT_ASKED}`,
          // It would end the session that all others need.
          '--exclude-operation-id=postUsersLogout',
          '--phases=examples,coverage,fuzzing',
          '--max-examples=40',
          '--request-timeout=20',
          '--continue-on-failure',
          '--workers=2',
          '--warnings=off',
          `--report-dir=${join(dataDir, 'report')}`,
          ...seed,
          ...args,
        ],
        dataDir,
      );
    };
    const outcomes = [
      await pass('As an administrator, ids made up', tokenOf(admin), []),
      await pass('As an administrator, ids of what is there', tokenOf(admin), [`--config-file=${known}`]),
      await pass('As a customer, ids of what is there', tokenOf(customer), [`--config-file=${known}`]),
    ];
    return Math.max(...outcomes);
  } finally {
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const tokenOf = ({ call }: Caller) => call.tokens()?.access_token ?? '';

/** Values for the variables of paths: https://schemathesis.readthedocs.io/en/stable/reference/configuration/. */
function knownIds({ order, user }: { order: string; user: string }): string {
  const known = (path: string, name: string, value: string) =>
    `[[operations]]\ninclude-path-regex = "^${path}"\nparameters = { "path.${name}" = "${value}" }\n`;
  return [
    known('/api/orders/', 'id', order),
    known('/api/users/', 'id', user),
    known('/api/payments/', 'order_id', order),
    known('/api/customers/', 'customer_id', user),
    known('/api/inventory/', 'product_id', 'mug-blue'),
  ].join('\n');
}

/** It leaves files where it runs. */
function runProgram(program: string, args: readonly string[], cwd: string): Promise<number> {
  const child = spawn(program, args, { cwd, stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
