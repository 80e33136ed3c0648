import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system.ts';
import { newCustomer, placeOrder, untilStatus, type Caller } from '../support/shop.ts';
import { UNLIMITED } from '../support/unlimited.ts';

let system: RunningSystem;
let customer: Caller;
// SQLite's addresses are URIs: each of these could end the path of one.
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-cards-#%?-'));

beforeAll(async () => {
  system = await startSystem({ dataDir, portOffset: 18_300, env: { gateway: UNLIMITED } });
  customer = await newCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const files = () =>
  readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a system in a folder of any name', () => {
  it('When it runs, then each service has a database of its own there', () => {
    const databases = files().filter(
      (file) => file.startsWith(join(dataDir, 'state')) && file.endsWith('.db'),
    );
    expect(databases).toHaveLength(7);
  });
});

describe('a card token', () => {
  it('When its payment is decided and the system has stopped, then no file has it any more', async () => {
    const fates = [
      { card: 'tok_twice', quantity: 1, status: 'DELIVERED' },
      { card: 'tok_marked_declined', quantity: 1, status: 'PAYMENT_FAILED' },
      { card: 'tok_marked_rejected', quantity: 9_999, status: 'REJECTED' },
    ] as const;
    for (const { card, quantity, status } of fates) {
      const { orderId } = await placeOrder(customer, { card, quantity });
      await untilStatus(customer, orderId, status);
    }
    await system.stop();
    for (const { card } of fates)
      expect(files().filter((file) => readFileSync(file).includes(card))).toEqual([]);
  });
});
