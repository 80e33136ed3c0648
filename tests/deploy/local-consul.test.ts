import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { secretFile, secretsEnv } from '../../deploy/local/configuration/secrets.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';

let scratch: string;
beforeEach(() => (scratch = mkdtempSync(join(tmpdir(), 'sidecart-consul-'))));
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** The component files of a profile, by name. */
function rendered(profile: string | undefined): Record<string, string> {
  const offset = 1_000;
  renderTemplate({ offset, ports: portsAt(offset), dataDir: scratch, profile: findProfile(profile) });
  const components = join(scratch, 'rendered/components');
  const names = readdirSync(components, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => [name, readFileSync(join(components, name), 'utf8')]),
  );
}

interface Configuration {
  spec: Record<string, unknown> & {
    nameResolution: { component: string; configuration: { client: { address: string; tokenFile: string } } };
  };
}

describe('the profile with Consul', () => {
  it('When its files are compared with those without a profile, then only the name resolution differs', () => {
    const { 'configuration.yaml': usual = '', ...others } = rendered(undefined);
    const { 'configuration.yaml': changed = '', ...same } = rendered('consul');
    expect(same).toEqual(others);
    const [before, after] = [parse(usual) as Configuration, parse(changed) as Configuration];
    const { nameResolution } = after.spec;
    expect(nameResolution).not.toEqual(before.spec.nameResolution);
    expect({ ...after, spec: { ...after.spec, nameResolution: undefined } }).toEqual({
      ...before,
      spec: { ...before.spec, nameResolution: undefined },
    });
    expect(nameResolution.component).toBe('consul');
    expect(nameResolution.configuration.client.address).toBe('localhost:9500');
  });

  it.each(['plain', "it's #1: 100%", 'with "blanks"', '$HOME'])(
    'When the folder is %j, then daprd finds the token there',
    (name) => {
      const folder = join(scratch, name);
      const text = rendered('consul')['configuration.yaml'] ?? '';
      // daprd replaces variables before it parses the file.
      const env: Record<string, string> = { ...secretsEnv(folder), APP_PORT: '1', DAPR_HTTP_PORT: '2' };
      const expanded = text.replaceAll(/\$\{(\w+)\}/g, (_, variable: string) => env[variable] ?? '');
      const { spec } = parse(expanded) as Configuration;
      expect(spec.nameResolution.configuration.client.tokenFile).toBe(secretFile(folder, 'consul'));
    },
  );
});
