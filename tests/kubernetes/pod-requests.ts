import { kubectl } from './cluster.ts';

/** Requests from within pods, by the Node.js of their images. Twins have none. */

export interface PodResponse {
  /** The status, or undefined without a connection. */
  status?: number;
  /** The start of the body, or the error. */
  text: string;
}

/** A request. The token `own` is that of the environment of the container. */
export interface Request {
  url: string;
  method?: string;
  token?: 'own' | 'wrong' | 'none';
  headers?: Record<string, string>;
  body?: unknown;
}

const HTTP_SCRIPT = `
  const { url, method, token, headers, body } = JSON.parse(process.argv[1]);
  const tokens = { own: process.env.DAPR_API_TOKEN, wrong: 'wrong' };
  fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(tokens[token] && { 'dapr-api-token': tokens[token] }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  }).then(
    async (response) => ({ status: response.status, text: (await response.text()).slice(0, 300) }),
    (error) => ({ text: error.cause?.code ?? error.name }),
  ).then((result) => console.log(JSON.stringify(result)));
`;

/** Sends an HTTP request from the service container of a pod. */
export async function request(
  pod: string,
  { method = 'GET', token = 'own', ...rest }: Request,
): Promise<PodResponse> {
  return runInPod(pod, HTTP_SCRIPT, JSON.stringify({ method, token, ...rest }));
}

const TCP_SCRIPT = `
  const { createConnection } = require('node:net');
  const [host, port] = process.argv.slice(1);
  const socket = createConnection({ host, port: Number(port), timeout: 5_000 });
  const end = (text) => { console.log(JSON.stringify({ text })); process.exit(0); };
  socket.on('connect', () => end('connected')).on('timeout', () => end('ETIMEDOUT')).on('error', ({ code }) => end(code));
`;

/** Opens a TCP connection from a pod. Returns `connected` or an error code. */
export async function connect(pod: string, host: string, port: number): Promise<PodResponse> {
  return runInPod(pod, TCP_SCRIPT, host, String(port));
}

const TLS_SCRIPT = `
  const { connect } = require('node:tls');
  const [host, port] = process.argv.slice(1);
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const end = (text) => { console.log(JSON.stringify({ text })); process.exit(0); };
  socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0'));
  socket.on('data', () => end('answered')).on('error', ({ code }) => end(code)).on('close', () => end('closed'));
  setTimeout(() => end('ETIMEDOUT'), 5_000);
`;

/** Connects to a sidecar without a client certificate. Returns `answered`, `closed` or an error code. */
export async function connectWithoutCertificate(
  pod: string,
  host: string,
  port: number,
): Promise<PodResponse> {
  return runInPod(pod, TLS_SCRIPT, host, String(port));
}

async function runInPod(pod: string, script: string, ...args: string[]): Promise<PodResponse> {
  const command = ['exec', pod, '--container', 'app', '--', 'node', '--eval', script, ...args];
  return JSON.parse(await kubectl(command)) as PodResponse;
}
