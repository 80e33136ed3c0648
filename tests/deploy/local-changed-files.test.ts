import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { effectsOfChanges } from '../../deploy/local/commands/changed-files.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';

const SERVICES = readTemplate().apps.map(({ appID }) => appID);

describe('a change of code', () => {
  it.each([
    ['services/orders/main.ts', ['orders']],
    ['services/inventory/catalogue.json', ['inventory']],
    ['services/gateway/grpc/orders.proto', ['gateway']],
    ['services/shared/http/listen.ts', SERVICES],
    ['services/users/api.ts', ['gateway', 'users']],
    ['services/access.ts', []],
    ['services/README.md', []],
    ['services/decisions/0001-closed-ports.md', []],
    ['services/orders/new-and-not-imported.ts', []],
    ['deploy/local/commands/start.ts', []],
  ])('When it is in %s, then these services restart: %j', (file, expected) => {
    expect(effectsOfChanges('.', [file], SERVICES).restart.toSorted()).toEqual(expected.toSorted());
  });

  it('When a contract changes, then its importers restart, too', () => {
    const { restart } = effectsOfChanges('.', ['services/orders/contract.ts'], SERVICES);
    expect(restart).toEqual(expect.arrayContaining(['orders', 'gateway', 'payments', 'history']));
  });

  it('When any code file of a service changes, then the service restarts', () => {
    for (const service of SERVICES)
      expect(effectsOfChanges('.', [`services/${service}/app.ts`], SERVICES).restart).toContain(service);
  });

  it('When the file is read only at the start, then a message says so, and nothing restarts', () => {
    const components = readdirSync('components').filter((name) => name.endsWith('.yaml'));
    expect(components.length).toBeGreaterThan(3);
    const files = ['dapr.yaml', 'package-lock.json', ...components.map((name) => `components/${name}`)];
    expect(effectsOfChanges('.', files, SERVICES)).toEqual({ restart: [], needsNewStart: files });
  });
});
