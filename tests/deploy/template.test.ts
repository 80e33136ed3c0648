import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { componentSchema, metadataValue } from '../../deploy/local/configuration/component-files.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';
import { hasSqlite, openSqlite } from '../support/sqlite.ts';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'sidecart-template-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const configuration = z.object({
  spec: z.object({ nameResolution: z.object({ configuration: z.object({ connectionString: z.string() }) }) }),
});

/** Folder names with special characters of URIs, YAML and daprd's variables. */
const FOLDERS = [
  'plain',
  'my #1 shop',
  'why?',
  '100%',
  'a%23b',
  'with blanks',
  '$HOME',
  'key: value',
  "it's",
  'größe',
  '{appID}',
];

/** The path that daprd reads from a connection string: common/authentication/sqlite in dapr/components-contrib. */
function opened(connection: string, appID: string): string {
  const [path = '', ...options] = connection.replaceAll('{appID}', appID).split('?');
  return `${path.startsWith('file:') ? '' : 'file:'}${path}?${['_txlock=immediate', ...options].join('&')}`;
}

describe('a system in a folder with a special name', () => {
  it.runIf(hasSqlite).each(FOLDERS)(
    'When the folder is %j, then each service has its own database file there',
    (name) => {
      const dataDir = join(scratch, name);
      mkdirSync(join(dataDir, 'state'), { recursive: true });
      const { template } = renderTemplate({ offset: 1_000, ports: portsAt(1_000), dataDir });
      const [components = ''] = template.common.resourcesPaths;
      const read = (file: string): unknown => parse(readFileSync(file, 'utf8'));
      const state = metadataValue(
        componentSchema.parse(read(join(components, 'state.yaml'))),
        'connectionString',
      );
      const names = configuration.parse(read(template.common.configFilePath)).spec.nameResolution
        .configuration;

      for (const uri of [
        opened(state, 'orders'),
        opened(state, 'users'),
        opened(names.connectionString, ''),
      ]) {
        const database = openSqlite(uri);
        database.exec('CREATE TABLE kept (id)');
        database.close();
      }

      const files = ['state/orders.db', 'state/users.db', 'names.db'];
      expect(files.filter((file) => existsSync(join(dataDir, file)))).toEqual(files);
      // daprd treats a dollar sign there as the start of a variable.
      expect(names.connectionString).not.toContain('$');
    },
  );
});
