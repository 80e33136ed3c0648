import { describe, expect, it } from 'vitest';
import { createLogger } from '../../services/shared/telemetry/logger.ts';

function logged(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLogger('test', 'info', { write: (line) => void lines.push(line) }).info(fields, 'something happened');
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

describe('secrets in log lines', () => {
  it.each([
    [{ token: 's' }, { token: '[redacted]' }],
    [{ token: undefined, path: '/' }, { path: '/' }],
    [{ body: { card_token: 's', quantity: 1 } }, { body: { card_token: '[redacted]', quantity: 1 } }],
    [{ body: { payment: { card_token: 's' } } }, { body: { payment: { card_token: '[redacted]' } } }],
    [{ bodies: [{ password: 's' }, { name: 'n' }] }, { bodies: [{ password: '[redacted]' }, { name: 'n' }] }],
    [{ authorization: { scheme: 'Bearer' } }, { authorization: '[redacted]' }],
    [
      { list: [1, 2], nothing: null, text: 'token' },
      { list: [1, 2], nothing: null, text: 'token' },
    ],
  ])('When the fields are %j, then the line has %j', (fields, expected) => {
    const { level: _, time: _time, service: _service, msg: _msg, ...rest } = logged(fields);
    expect(rest).toEqual(expected);
  });

  it('When an error carries a secret, then the line has the error without the secret', () => {
    const err = Object.assign(new Error('failed'), { headers: { authorization: 'Bearer s' }, password: 's' });
    expect(logged({ err })['err']).toMatchObject({
      message: 'failed',
      headers: { authorization: '[redacted]' },
      password: '[redacted]',
    });
  });

  it('When a line is written, then the logged object is not changed', () => {
    const fields = { body: { token: 's' } };
    logged(fields);
    expect(fields).toEqual({ body: { token: 's' } });
  });
});
