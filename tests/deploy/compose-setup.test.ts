import { readdirSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { appsWithState, applyOverlay, type Files } from '../../deploy/compose/setup/components.ts';
import { databaseFor, newSecrets } from '../../deploy/compose/setup/secrets.ts';
import { componentSchema, readComponents } from '../../deploy/local/configuration/component-files.ts';

const STATE = readFileSync('deploy/compose/state.yaml', 'utf8');
const STORES = new Map([
  ['state.yaml', STATE],
  ['workflows.yaml', readFileSync('deploy/compose/workflows.yaml', 'utf8')],
]);
const committed = readComponents();
const changed = (name: string, change: (text: string) => string): Files => {
  const before = committed.get(name) ?? '';
  const after = change(before);
  expect(after).not.toBe(before);
  return new Map([...committed, [name, after]]);
};

describe('the component files of Compose', () => {
  it('When the overlay is applied, then only addresses and the store differ', () => {
    const made = applyOverlay(committed, STORES);
    expect([...made.keys()].toSorted()).toEqual([...committed.keys()].toSorted());
    const differing = [...made].filter(([name, text]) => text !== committed.get(name)).map(([name]) => name);
    expect(differing.toSorted()).toEqual([
      'broadcast.yaml',
      'email.yaml',
      'pubsub.yaml',
      'settings.yaml',
      'state.yaml',
      'workflows.yaml',
    ]);
    for (const name of differing.filter((one) => !STORES.has(one))) {
      const lines = (committed.get(name) ?? '').split('\n');
      const others = (made.get(name) ?? '').split('\n').filter((line, index) => line !== lines[index]);
      expect(new Set(others.map((line) => line.trim())).size).toBe(1);
    }
    expect([...made.values()].join('\n')).not.toContain('localhost');
  });

  it('When the store is another one, then it is for the same apps under the same name', () => {
    const before = parse(committed.get('state.yaml') ?? '') as { metadata: unknown; scopes: unknown };
    const after = parse(applyOverlay(committed, STORES).get('state.yaml') ?? '') as typeof before & {
      spec: unknown;
    };
    expect([after.metadata, after.scopes]).toEqual([before.metadata, before.scopes]);
    expect(after.spec).toEqual((parse(STATE) as typeof after).spec);
    expect(appsWithState(committed)).toEqual(componentSchema.parse(before).scopes);
  });

  it('When components change, then the overlay changes them for Compose, too', () => {
    const more = changed('pubsub.yaml', (text) => text.replace("value: '64'", "value: '65'"));
    expect(applyOverlay(more, STORES).get('pubsub.yaml')).toContain("value: '65'");
    const scoped = changed('state.yaml', (text) => text.replace('[users,', '[returns, users,'));
    expect(applyOverlay(scoped, STORES).get('state.yaml')).toContain('[returns, users,');
    expect(appsWithState(scoped)).toContain('returns');
  });

  it.each([
    ['pubsub.yaml', 'localhost:6379', 'elsewhere:6379'],
    ['email.yaml', 'value: localhost', 'value: elsewhere'],
    ['state.yaml', 'spec:', 'other:'],
  ])('When %s no longer has %s, then the setup fails', (name, from, to) => {
    const files = new Map(changed(name, (text) => text.replaceAll(from, to)));
    // The address of the broker is in several files.
    for (const other of ['broadcast.yaml', 'settings.yaml'])
      files.set(other, (files.get(other) ?? '').replaceAll(from, to));
    expect(() => applyOverlay(files, STORES)).toThrow(/nowhere|one spec/);
  });

  it('When components have files, then the setup reads all of them', () => {
    const all = readdirSync('components', { recursive: true, encoding: 'utf8' });
    const kinds = all.filter((name) => name.includes('.')).map((name) => name.split('.').pop());
    expect(new Set(kinds)).toEqual(new Set(['yaml', 'json', 'md']));
  });
});

describe('the secrets of Compose', () => {
  it('When they are created, then only a service and its sidecar share tokens', () => {
    const { service, sidecar } = newSecrets('orders', true);
    const forService = parseEnv(service);
    const forSidecar = parseEnv(sidecar);
    expect(Object.keys(forService).toSorted()).toEqual(['APP_API_TOKEN', 'DAPR_API_TOKEN']);
    expect(forSidecar).toMatchObject(forService);
    expect(forSidecar['STATE_CONNECTION_STRING']).toMatch(
      /^host=postgres user=orders database=orders password=[\w-]{32} sslmode=disable connect_timeout=2$/,
    );
    expect(newSecrets('gateway', false).sidecar).not.toContain('STATE');
    expect(parseEnv(newSecrets('orders', true).service)).not.toEqual(forService);
  });

  it('When they are for users, then only that service has the first administrator', () => {
    const { service, sidecar } = newSecrets('users', true);
    expect(parseEnv(service)).toMatchObject({
      ADMIN_EMAIL: 'admin@sidecart.example',
      ADMIN_PASSWORD: expect.stringMatching(/^[\w-]{32}$/),
    });
    expect(sidecar).not.toContain('ADMIN');
    expect(newSecrets('orders', true).service).not.toContain('ADMIN');
  });

  it('When a database is created, then only its sidecar has its password', () => {
    const { sidecar } = newSecrets('orders', true);
    const [, password] = / password=([\w-]+) /.exec(sidecar)!;
    const sql = databaseFor('orders', sidecar);
    expect(sql).toContain(`CREATE ROLE "orders" LOGIN PASSWORD '${password}';`);
    expect(sql).toContain('REVOKE CONNECT ON DATABASE "orders" FROM PUBLIC;');
    expect(() => databaseFor('gateway', newSecrets('gateway', false).sidecar)).toThrow(/no password/);
  });
});
