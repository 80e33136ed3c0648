import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DAPRD_SCRIPT, secretsEnv } from '../../deploy/local/configuration/secrets.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';

/** The environment that the script around daprd gives to a sidecar, for the variables of components/configuration.yaml. */

const scratch = mkdtempSync(join(tmpdir(), 'sidecart-sidecar-'));
const PORTS = ['--app-id', 'orders', '--app-port', '8083', '--dapr-http-port', '3583'];

beforeAll(() => {
  const bin = join(scratch, '.dapr/bin');
  mkdirSync(bin, { recursive: true });
  const daprd = join(bin, 'daprd');
  writeFileSync(daprd, '#!/bin/sh\nenv\n');
  chmodSync(daprd, 0o755);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function environmentOf(args: readonly string[], env: Record<string, string> = {}) {
  const { stdout } = spawnSync(DAPRD_SCRIPT, [...args, '--metrics-port', '3883'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], DAPR_RUNTIME_PATH: scratch, ...secretsEnv(scratch), ...env },
  });
  return parseEnv(stdout);
}

describe('a sidecar', () => {
  it.each([
    ['as dapr run has them', PORTS],
    ['as the tests have them', ['--app-port=8083', '--dapr-http-port=3583', '--app-id=orders']],
  ])('When it starts with arguments %s, then its environment has its ports', (_how, args) => {
    const expected = { APP_ID: 'orders', APP_PORT: '8083', DAPR_HTTP_PORT: '3583' };
    expect(environmentOf(args)).toMatchObject(expected);
  });

  const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318/' };
  const { ZIPKIN_ENDPOINT: usual } = readTemplate().common.env;

  it.each([
    ['nothing', {}, usual, undefined],
    ['another Zipkin', { ZIPKIN_ENDPOINT: 'http://z:9411/' }, 'http://z:9411/', undefined],
    ['an empty address', { ZIPKIN_ENDPOINT: '' }, '', undefined],
    ['a collector', collector, '', 'http://localhost:4318'],
    ['both', { ...collector, ZIPKIN_ENDPOINT: 'http://z:9411/' }, '', 'http://localhost:4318'],
  ])('When it is given %s, then it reports to one of them at most', (_what, env, zipkin, endpoint) => {
    const { ZIPKIN_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT } = environmentOf(PORTS, env);
    expect([ZIPKIN_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]).toEqual([zipkin, endpoint]);
  });
});
