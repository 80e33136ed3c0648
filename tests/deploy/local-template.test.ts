import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replicasOf } from '../../deploy/local/system/app-processes.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { readTemplate, type Template } from '../../deploy/local/configuration/template.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';

const gatewayOf = ({ apps }: Template) => apps.find(({ appID }) => appID === 'gateway')!;

describe('the ports of the gateway', () => {
  let dataDir: string;
  beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'sidecart-template-'))));
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('When it has replicas, then each has its own ports', () => {
    const [first, second] = replicasOf(gatewayOf(readTemplate()), 2);
    expect(first?.app.env).toMatchObject({ GRPC_PORT: '50051', OPERATOR_PORT: '8079' });
    expect(second?.app.env).toMatchObject({ GRPC_PORT: '50061', OPERATOR_PORT: '8089' });
    expect(second?.app.env).toHaveProperty('RATE_LIMIT_REDIS_URL');
  });

  it.each([1_000, 1_700, 16_000])('When all ports are shifted by %i, then so are these', (offset) => {
    const ports = portsAt(offset);
    const { template } = renderTemplate({ offset, ports, dataDir });
    expect(gatewayOf(template).env).toEqual({
      GRPC_PORT: String(ports.grpc),
      OPERATOR_PORT: String(8_079 + offset),
      // With an offset of 1,700 it has the operator port of offset 0.
      RATE_LIMIT_REDIS_URL: `redis://localhost:${6_379 + offset}`,
    });
  });
});
