import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { root } from '../../deploy/local/machine/paths.ts';
import { APP_API_TOKEN, DAPR_API_TOKEN } from '../support/fake-sidecar.ts';
import { waitFor } from '../support/wait.ts';

/** A service in any language, as a process beside the fake sidecar. */
export interface ServiceProcess {
  url: string;
  /** The lines of standard output so far. */
  lines: string[];
  /** Standard error so far. */
  errors: () => string;
  /** Sends the signal, and resolves with the exit code. */
  end: (signal: NodeJS.Signals) => Promise<number | null>;
  exited: Promise<number | null>;
}

/** What `npm run test:contract` checks. Without arguments, these are the services of this repository. */
const { CONTRACT_SERVICE, CONTRACT_COMMAND, CONTRACT_CWD } = process.env;

export const isChecked = (service: string): boolean =>
  CONTRACT_SERVICE === undefined || CONTRACT_SERVICE === service;

const commandOf = (service: string) => CONTRACT_COMMAND ?? `node dist/services/${service}/main.js`;

/** The environment of a service, as `dapr run` would set it. */
export const environment = (appPort: number, sidecarPort: number): Record<string, string> => ({
  APP_PORT: String(appPort),
  DAPR_HTTP_PORT: String(sidecarPort),
  DAPR_METRICS_PORT: String(sidecarPort),
  DAPR_API_TOKEN,
  APP_API_TOKEN,
});

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}

/** Starts the command. It does not wait for the service. */
export function startProcess(service: string, env: Record<string, string>): ServiceProcess {
  const { PATH = '', HOME = '' } = process.env;
  // `exec`: signals reach the program itself.
  const child = spawn(`exec ${commandOf(service)}`, {
    shell: true,
    cwd: CONTRACT_CWD ?? root,
    env: { PATH: `${join(root, 'node_modules/.bin')}:${PATH}`, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let rest = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => {
    const parts = (rest + text.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr.on('data', (text: Buffer) => void (errors += text.toString()));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return {
    url: `http://127.0.0.1:${env['APP_PORT']}`,
    lines,
    errors: () => errors,
    exited,
    async end(signal) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      return exited.finally(() => clearTimeout(timer));
    },
  };
}

/** The line of the log about a request. */
export const requestLine = (service: ServiceProcess, requestId: string): Promise<Record<string, unknown>> =>
  waitFor('the request is logged', () =>
    service.lines
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .find((line) => line['msg'] === 'request completed' && line['request_id'] === requestId)!,
  );

/** Starts the command, and waits until the service is ready. */
export async function startReadyProcess(
  service: string,
  sidecarPort: number,
  env: Record<string, string> = {},
): Promise<ServiceProcess> {
  const started = startProcess(service, { ...environment(await freePort(), sidecarPort), ...env });
  let code: number | null | undefined;
  void started.exited.then((exitCode) => (code = exitCode));
  await waitFor(
    `${commandOf(service)} answers GET /readyz with 200`,
    async () => {
      if (code !== undefined) throw new Error(`The command exited with ${code}:\n${started.errors()}`);
      return fetch(`${started.url}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      );
    },
    { timeoutMs: 60_000 },
  );
  return started;
}
