import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startMailCatcher } from '../../deploy/local/infrastructure/mail-catcher.ts';
import { startNats } from '../../deploy/local/profiles/nats-postgres/nats.ts';
import { assertPortFree } from '../../deploy/local/machine/tcp-ports.ts';
import {
  LARGEST_OFFSET,
  offsetProblem,
  readPortOffset,
  BLOCKED_BY_FETCH,
} from '../../deploy/local/configuration/port-offset.ts';
import { portsAt, type Ports } from '../../deploy/local/configuration/ports.ts';
import { systemPorts } from '../../deploy/local/configuration/system-ports.ts';
import { replicasOf } from '../../deploy/local/system/app-processes.ts';
import { findPortHolder, isPortClosing } from '../../deploy/local/machine/port-holder.ts';
import { startPostgres } from '../../deploy/local/profiles/nats-postgres/postgres.ts';
import { startPlacement } from '../../deploy/local/infrastructure/placement.ts';
import { startRedis } from '../../deploy/local/infrastructure/redis.ts';
import { startScheduler } from '../../deploy/local/infrastructure/scheduler.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { startZipkin } from '../../deploy/local/infrastructure/zipkin.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { waitFor } from '../support/wait.ts';

const { apps } = readTemplate();
const ALL_OFFSETS = Array.from({ length: LARGEST_OFFSET + 1 }, (_, offset) => offset);

/** The ports of the second replicas. */
const replicated = (offset: number) =>
  apps
    .flatMap((app) => replicasOf(app, 2).slice(1))
    .flatMap(({ app }) => [
      app.appPort,
      app.daprHTTPPort,
      app.daprGRPCPort,
      app.daprInternalGRPCPort,
      app.metricsPort,
    ])
    .map((port) => port + offset);

/** The rejected offsets. */
const refused = new Map(
  ALL_OFFSETS.flatMap((offset) => {
    const problem = offsetProblem(offset, apps);
    return problem ? [[offset, problem] as const] : [];
  }),
);

describe('the ports of a system', () => {
  it('When fetch gets a blocked port, then it rejects before it connects', async () => {
    for (const port of BLOCKED_BY_FETCH)
      await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toMatchObject({
        cause: { message: 'bad port' },
      });
  });

  it('When any offset is used, then it is rejected, or no HTTP port is blocked and all ports differ', () => {
    const hasProblem = (offset: number) => {
      const ports = systemPorts(offset, apps);
      const isShared = new Set(ports.map(({ port }) => port)).size < ports.length;
      return isShared || ports.some(({ port, isHttp }) => isHttp && BLOCKED_BY_FETCH.has(port));
    };
    expect(ALL_OFFSETS.filter((offset) => refused.has(offset) !== hasProblem(offset))).toEqual([]);
  });

  it('When an offset is valid, then every port is below the ephemeral ones', () => {
    const highest = Math.max(...systemPorts(LARGEST_OFFSET, apps).map(({ port }) => port));
    expect(highest).toBeLessThan(32_768);
  });

  it('When an offset is rejected, then the error has the next valid one', () => {
    expect(refused.size).toBeGreaterThan(100);
    for (const [offset, { next = -1, message }] of refused) {
      expect(ALL_OFFSETS.slice(offset).find((other) => !refused.has(other))).toBe(next);
      expect(message).toContain(`use ${next} instead`);
    }
  });

  it('When the offset is 0, or one of the tests and documents, then it is valid', () => {
    const used = [0, 1_000, 5_000, 8_000, 9_000, 14_000, ...Object.values(PORT_OFFSETS)];
    expect(used.filter((offset) => refused.has(offset))).toEqual([]);
  });

  it('When systems of the tests run at the same time, with second replicas, then no port is used twice', () => {
    const taken = Object.values(PORT_OFFSETS).flatMap((offset) => {
      const own = systemPorts(offset, apps).map(({ port }) => port);
      const ofReplicas = replicated(offset);
      return [...new Set([...own, ...ofReplicas])];
    });
    expect(taken.filter((port, position) => taken.indexOf(port) !== position)).toEqual([]);
  });

  it('When two services have the same port, then the error has both, and no offset helps', () => {
    const [first, second] = apps;
    if (!first || !second) throw new Error('there are no services');
    const problem = offsetProblem(0, [first, { ...second, appPort: first.daprGRPCPort }]);
    expect(problem?.message).toContain(`${first.appID}'s sidecar, gRPC and ${second.appID} would share port`);
    expect(problem?.next).toBeUndefined();
  });
});

describe('PORT_OFFSET', () => {
  const set = (value: string) => {
    vi.stubEnv('PORT_OFFSET', value);
    onTestFinished(() => void vi.unstubAllEnvs());
  };

  it.each([
    ['2000', 'gateway would get port 10080, which fetch and browsers block; use 2002 instead'],
    ['669', 'zipkin would get port 10080'],
    ['44', 'schedulerHealth would get port 4045'],
    ['1999', 'schedulerHealth would get port 6000'],
    ['22001', 'must be a whole number from 0 to 22000'],
    ['-1', 'must be a whole number from 0 to 22000'],
    ['1e3', 'must be a whole number from 0 to 22000'],
  ])('When it is %s, then the error has the reason and a valid offset', (value, reason) => {
    set(value);
    expect(() => readPortOffset()).toThrow(`PORT_OFFSET: `);
    expect(() => readPortOffset()).toThrow(reason);
    expect(() => readPortOffset()).toThrow(/For example: PORT_OFFSET=\d+$/);
  });

  it('When it is set, then it is used; otherwise, the default of the command', () => {
    set('1000');
    expect(readPortOffset(5_000)).toBe(1_000);
    set('');
    expect(readPortOffset(5_000)).toBe(5_000);
  });
});

describe('a required port', () => {
  const held = async () => {
    const server = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return { server, port: (server.address() as AddressInfo).port };
  };

  it('When it is in use for a moment, then the check waits', async () => {
    const { server, port } = await held();
    const free = assertPortFree(port, 'a part', 20_000);
    await new Promise((resolve) => void server.close(resolve));
    await expect(free).resolves.toBeUndefined();
  });

  it('When it stays in use, then the error has the program', async () => {
    const { port } = await held();
    const holder = existsSync('/proc/net/tcp')
      ? `(process ${process.pid}, in ${process.cwd()})`
      : 'another program';
    await expect(assertPortFree(port, 'a part', 200)).rejects.toThrow(`Port ${port} (a part) is in use by `);
    await expect(assertPortFree(port, 'a part', 200)).rejects.toThrow(holder);
  });

  it('When an outgoing connection uses it, then it is not free, even without a listener', async () => {
    const { port: theirs } = await held();
    const socket = connect(theirs, '127.0.0.1');
    await once(socket, 'connect');
    onTestFinished(() => void socket.resetAndDestroy());
    await expect(assertPortFree(socket.localPort ?? 0, 'a part', 200)).rejects.toThrow('is in use by');
  });

  it.runIf(existsSync('/proc/net/tcp'))(
    'When a closing connection uses it, then the error says so and blames no program',
    async () => {
      const { port: theirs } = await held();
      // Below the ephemeral ports, because connections to other addresses may share one of those.
      const localPort = 32_000 + (process.pid % 700);
      const socket = connect({ port: theirs, host: '127.0.0.1', localPort });
      await once(socket, 'connect');
      expect(isPortClosing(localPort)).toBe(false);
      socket.destroy();
      await waitFor('the connection is closed', () => isPortClosing(localPort));
      expect(findPortHolder(localPort)).toBeUndefined();
    },
    30_000,
  );

  it('When a part of the infrastructure needs it, then the part does not start', async () => {
    const logDir = mkdtempSync(join(tmpdir(), 'sidecart-ports-'));
    onTestFinished(() => rmSync(logDir, { recursive: true, force: true }));
    const program = process.execPath;
    const dapr = { cli: '', daprd: '', scheduler: program, placement: program, env: {}, version: '' };
    const usual = portsAt(13_100);
    const { port } = await held();
    const common = { logDir, dataDir: logDir, listenAddress: '127.0.0.1' };
    const scheduler = (own: Partial<Ports>) =>
      startScheduler({ ...common, dapr, ports: { ...usual, ...own } });
    const placement = (own: Partial<Ports>) =>
      startPlacement({ ...common, dapr, ports: { ...usual, ...own } });
    const attempts = [
      startRedis({ ...common, port }),
      startZipkin({ ...common, jar: '', port }),
      startMailCatcher({ logDir, ports: { ...usual, smtp: port } }),
      startMailCatcher({ logDir, ports: { ...usual, mailWeb: port } }),
      startNats({ ...common, program: '', port }),
      startPostgres({ ...common, port, programs: { initdb: '', postgres: '' }, names: [] }),
      scheduler({ scheduler: port }),
      scheduler({ schedulerHealth: port }),
      scheduler({ schedulerMetrics: port }),
      scheduler({ schedulerEtcdClient: port }),
      scheduler({ schedulerEtcdPeer: port }),
      placement({ placement: port }),
      placement({ placementHealth: port }),
      placement({ placementMetrics: port }),
      placement({ placementRaft: port }),
    ];
    for (const attempt of await Promise.allSettled(attempts))
      expect(attempt).toMatchObject({
        reason: { message: expect.stringContaining(`Port ${port} (`) as string },
      });
    expect(readdirSync(logDir).filter((name) => name.endsWith('.log'))).toEqual([]);
  }, 30_000);
});
