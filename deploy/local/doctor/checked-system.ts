import type { Ports } from '../configuration/ports.ts';
import { readTokens } from '../configuration/secrets.ts';
import type { App } from '../configuration/template.ts';
import type { Profile } from '../profiles/profile.ts';

/** The system that the checks look at, as `npm start` or `npm run dev` starts it. */
export interface CheckedSystem {
  apps: readonly CheckedApp[];
  ports: Ports;
  profile: Profile | undefined;
  dataDir: string;
  /** The address of the public API. */
  api: string;
  /** An access token of an administrator, or how to log in as one. */
  admin: { accessToken: string } | { email: string; password: string } | undefined;
}

/** A service and its sidecar, by the ports at which they should listen. */
export interface CheckedApp {
  name: string;
  appPort: number;
  /** The port of `/readyz`. */
  readyPort: number;
  daprHttpPort: number;
  daprPorts: readonly number[];
}

export function checkedApp(app: App, offset: number): CheckedApp {
  const { appID: name, appPort, daprHTTPPort, daprGRPCPort, daprInternalGRPCPort, metricsPort } = app;
  return {
    name,
    appPort: appPort + offset,
    readyPort: Number(app.env?.['OPERATOR_PORT'] ?? appPort) + offset,
    daprHttpPort: daprHTTPPort + offset,
    daprPorts: [daprHTTPPort, daprGRPCPort, daprInternalGRPCPort, metricsPort].map((port) => port + offset),
  };
}

/** The response of a process of this machine. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
}

/** A process that refuses connections does not run. A silent one has accepted the connection. */
export type NoReply = 'refused' | 'silent';

const TIMEOUT_MS = 5_000;

export async function get(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<Reply | NoReply> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal });
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    const { cause } = error as { cause?: { code?: unknown } };
    return cause?.code === 'ECONNREFUSED' ? 'refused' : 'silent';
  }
}

/** Calls the API of a sidecar, with its token. Undefined if the system has no token of this service. */
export async function getFromSidecar(
  { dataDir }: Pick<CheckedSystem, 'dataDir'>,
  { name, daprHttpPort }: CheckedApp,
  path: string,
): Promise<Reply | NoReply | undefined> {
  try {
    return await get(daprHttpPort, path, { 'dapr-api-token': readTokens(dataDir, name).DAPR_API_TOKEN });
  } catch {
    return undefined;
  }
}

/** Repeats a probe with a short timeout, because a busy machine answers late. */
export async function respondsAtLast(probe: () => Promise<boolean>): Promise<boolean> {
  return (await probe()) || (await probe()) || probe();
}

/** The parsed JSON of a text; undefined if it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const RESTART = 'Press Ctrl-C in the terminal of the system, and start it again.';
export const logOf = (name: string) =>
  `Its log is below .dapr/logs after \`npm start\`, and in the logs folder of the data after \`npm run dev\` (${name}).`;
