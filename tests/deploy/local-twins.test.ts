import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseTwins } from '../../deploy/local/programs/twins.ts';
import { commandOf } from '../../deploy/local/system/render-template.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';

afterEach(() => void vi.unstubAllEnvs());

describe('npm start -- --with', () => {
  it.each([
    [undefined, []],
    ['payments=python', ['payments']],
    ['payments=python,inventory=go', ['payments', 'inventory']],
  ])('When the value is %s, then these services are replaced: %j', (text, services) => {
    expect(parseTwins(text).map(({ service }) => service)).toEqual(services);
  });

  it.each([
    '',
    'payments',
    'payments=cobol',
    'orders=python',
    'payments=python,',
    'payments=python payments',
  ])('When the value is "%s", then the error names the valid ones', (text) => {
    expect(() => parseTwins(text)).toThrow(/It knows payments=python and inventory=go\./);
  });

  it('When a service is named twice, then that is an error', () => {
    expect(() => parseTwins('payments=python,payments=python')).toThrow(/names a service twice/);
  });

  it.each([
    ['payments=python', 'Python 3.11 or newer, which is missing. Install it: https://www.python.org'],
    ['inventory=go', 'Go 1.26 or newer, which is missing. Install it: https://go.dev'],
  ])('When %s lacks its language, then one sentence names what to install', async (text, sentence) => {
    vi.stubEnv('PATH', '/nowhere');
    const [twin] = parseTwins(text);
    await expect(twin!.prepare(() => {})).rejects.toThrow(sentence);
  });

  it('When a service is replaced, then its command keeps the script with the tokens', () => {
    const payments = readTemplate().apps.find(({ appID }) => appID === 'payments')!;
    expect(commandOf(payments, ['python', '-m', 'payments'])).toEqual([
      'deploy/local/with-secrets',
      'python',
      '-m',
      'payments',
    ]);
    expect(commandOf(payments, undefined)).toBe(payments.command);
  });
});
