import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemReady } from '../../deploy/local/system/app-processes.ts';
import { findOrBuildDapr } from '../../deploy/local/programs/dapr.ts';
import { infrastructureFor } from '../../deploy/local/system/infrastructure.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { portsAt, type Ports } from '../../deploy/local/configuration/ports.ts';
import { startProcess, waitFor, type RunningProcess } from '../../deploy/local/machine/processes.ts';
import { secretsEnv } from '../../deploy/local/configuration/secrets.ts';
import { readTemplate, type Template } from '../../deploy/local/configuration/template.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';
import { findOrDownloadZipkin } from '../../deploy/local/infrastructure/zipkin.ts';

/** A system that was started by a command as users type it, on ports of its own. */
export interface Started {
  api: string;
  mails: string;
  dataDir: string;
  ports: Ports;
  template: Template;
  /** The processes from which all others come. */
  roots: number[];
  stop: () => Promise<void>;
}

const UP_WITHIN_MS = 180_000;

/** `npm start`. */
export async function npmStart(offset: number, scratch: string): Promise<Started> {
  const dataDir = join(root, '.sidecart', `offset-${offset}`);
  rmSync(dataDir, { recursive: true, force: true });
  const logDir = ensureFolder(scratch);
  const running = startProcess('npm-start', 'npm', ['start'], {
    logDir,
    cwd: root,
    env: { PORT_OFFSET: String(offset) },
  });
  const stop = async () => {
    await running.stop('SIGTERM', 60_000);
    rmSync(dataDir, { recursive: true, force: true });
  };
  return up({ offset, dataDir, roots: [running], stop });
}

/** A proxy that refuses everything, for all kinds of program. */
const BROKEN_PROXY = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  NODE_USE_ENV_PROXY: '1',
};

/**
 * `dapr run -f`, with nothing around it but the broker and so on, as `dapr init` would have started them, and behind a proxy
 * that nothing on this machine may ask.
 */
export async function daprRun(offset: number, scratch: string): Promise<Started> {
  const dataDir = ensureFolder(scratch, 'dapr-run');
  const logDir = ensureFolder(dataDir, 'logs');
  ensureFolder(dataDir, 'state');
  const ports = portsAt(offset);
  const quietly = () => {};
  const dapr = await findOrBuildDapr(quietly, true);
  const zipkin = await findOrDownloadZipkin(quietly);
  const zipkinJar = 'jar' in zipkin ? zipkin.jar : undefined;
  const roots: RunningProcess[] = [];
  const stop = async () => {
    for (const one of roots.toReversed()) await one.stop('SIGINT', 30_000);
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    for (const part of infrastructureFor({ dapr, ports, dataDir, logDir, zipkinJar }))
      roots.push(await part.start());
    const { file } = renderTemplate({ offset, ports, dataDir });
    const env = {
      ...BROKEN_PROXY,
      NO_PROXY: '',
      no_proxy: '',
      ...secretsEnv(dataDir),
      ...dapr.env,
    };
    roots.push(startProcess('dapr-run', dapr.cli, ['run', '-f', file], { logDir, cwd: root, env }));
  } catch (error) {
    await stop();
    throw error;
  }
  return up({ offset, dataDir, roots, stop });
}

/** The HTTP ports of all sidecars. */
export const sidecarPorts = (offset: number): number[] =>
  readTemplate().apps.map(({ daprHTTPPort }) => daprHTTPPort + offset);

async function up(options: {
  offset: number;
  dataDir: string;
  roots: RunningProcess[];
  stop: () => Promise<void>;
}): Promise<Started> {
  const { offset, dataDir, roots, stop } = options;
  const ports = portsAt(offset);
  const api = `http://127.0.0.1:${8080 + offset}`;
  const last = roots.at(-1);
  const sidecars = sidecarPorts(offset);
  try {
    await waitFor('the services', () => isSystemReady(api, sidecars), {
      timeoutMs: UP_WITHIN_MS,
      ...(last ? { process: last } : {}),
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    api,
    mails: `http://127.0.0.1:${ports.mailWeb}`,
    dataDir,
    ports,
    template: renderTemplate({ offset, ports, dataDir }).template,
    roots: roots.map(({ pid }) => pid),
    stop,
  };
}
