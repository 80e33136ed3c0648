import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findMissing } from '../../deploy/local/system/app-processes.ts';
import { findOrBuildDapr } from '../../deploy/local/programs/dapr.ts';
import { infrastructureFor } from '../../deploy/local/system/infrastructure.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { portsAt, type Ports } from '../../deploy/local/configuration/ports.ts';
import { startProcess, waitFor, type RunningProcess } from '../../deploy/local/machine/processes.ts';
import { secretsEnv } from '../../deploy/local/configuration/secrets.ts';
import { readTemplate, type Template } from '../../deploy/local/configuration/template.ts';
import { controlPlane } from '../../deploy/local/system/prepare.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';
import { findOrDownloadZipkin } from '../../deploy/local/infrastructure/zipkin.ts';

/** A system that was started by a command of the README, on its own ports. */
export interface StartedSystem {
  api: string;
  mails: string;
  dataDir: string;
  ports: Ports;
  template: Template;
  /** The processes that started all others. */
  roots: number[];
  stop: () => Promise<void>;
}

const STARTUP_TIMEOUT_MS = 180_000;

/** Runs `npm start`. */
export async function startWithNpm(offset: number, scratch: string): Promise<StartedSystem> {
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
  return waitUntilUp({ offset, dataDir, roots: [running], stop });
}

/** A proxy that refuses every connection, in the variables of all programs. */
const BROKEN_PROXY = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  NODE_USE_ENV_PROXY: '1',
};

/**
 * Runs `dapr run -f` beside the infrastructure that `dapr init` would start. The proxy is broken, so that a local call which
 * uses it fails.
 */
export async function startWithDaprRun(offset: number, scratch: string): Promise<StartedSystem> {
  const dataDir = ensureFolder(scratch, 'dapr-run');
  const logDir = ensureFolder(dataDir, 'logs');
  ensureFolder(dataDir, 'state');
  const ports = portsAt(offset);
  const onProgress = () => {};
  const dapr = await findOrBuildDapr(onProgress, controlPlane());
  const zipkin = await findOrDownloadZipkin(onProgress);
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
  return waitUntilUp({ offset, dataDir, roots, stop });
}

/** The HTTP ports of all sidecars. */
export const sidecarPorts = (offset: number): number[] =>
  readTemplate().apps.map(({ daprHTTPPort }) => daprHTTPPort + offset);

async function waitUntilUp(options: {
  offset: number;
  dataDir: string;
  roots: RunningProcess[];
  stop: () => Promise<void>;
}): Promise<StartedSystem> {
  const { offset, dataDir, roots, stop } = options;
  const ports = portsAt(offset);
  const api = `http://127.0.0.1:${8080 + offset}`;
  const last = roots.at(-1);
  const sidecars = sidecarPorts(offset);
  try {
    await waitFor('the services', async () => (await findMissing(api, sidecars)) ?? true, {
      timeoutMs: STARTUP_TIMEOUT_MS,
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
