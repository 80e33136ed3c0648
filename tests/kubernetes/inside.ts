import { kubectl } from './cluster.ts';

/** Calls from within pods, by the Node.js that every image has. */

export interface Reached {
  /** Of the answer; none where there was no connection. */
  status?: number;
  /** The beginning of the answer, or why there is none. */
  text: string;
}

/** `own`: the tokens that the container has in its environment. */
export interface Request {
  url: string;
  method?: string;
  token?: 'own' | 'wrong' | 'none';
  headers?: Record<string, string>;
  body?: unknown;
}

const HTTP = `
  const { url, method, token, headers, body } = JSON.parse(process.argv[1]);
  const tokens = { own: process.env.DAPR_API_TOKEN, wrong: 'wrong' };
  fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(tokens[token] && { 'dapr-api-token': tokens[token] }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  }).then(
    async (answer) => ({ status: answer.status, text: (await answer.text()).slice(0, 300) }),
    (error) => ({ text: error.cause?.code ?? error.name }),
  ).then((reached) => console.log(JSON.stringify(reached)));
`;

/** An HTTP request from the service's container of a pod. */
export async function request(
  pod: string,
  { method = 'GET', token = 'own', ...rest }: Request,
): Promise<Reached> {
  return exec(pod, HTTP, JSON.stringify({ method, token, ...rest }));
}

const TCP = `
  const { createConnection } = require('node:net');
  const [host, port] = process.argv.slice(1);
  const socket = createConnection({ host, port: Number(port), timeout: 5_000 });
  const tell = (text) => { console.log(JSON.stringify({ text })); process.exit(0); };
  socket.on('connect', () => tell('connected')).on('timeout', () => tell('ETIMEDOUT')).on('error', ({ code }) => tell(code));
`;

/** Whether a pod gets a connection: `connected`, or a code of the error. */
export async function connection(pod: string, host: string, port: number): Promise<Reached> {
  return exec(pod, TCP, host, String(port));
}

const TLS = `
  const { connect } = require('node:tls');
  const [host, port] = process.argv.slice(1);
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const tell = (text) => { console.log(JSON.stringify({ text })); process.exit(0); };
  socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0'));
  socket.on('data', () => tell('answered')).on('error', ({ code }) => tell(code)).on('close', () => tell('closed'));
  setTimeout(() => tell('ETIMEDOUT'), 5_000);
`;

/** Whether a sidecar talks to somebody without a certificate: `answered`, or how it ended. */
export async function withoutCertificate(pod: string, host: string, port: number): Promise<Reached> {
  return exec(pod, TLS, host, String(port));
}

async function exec(pod: string, script: string, ...args: string[]): Promise<Reached> {
  const command = ['exec', pod, '--container', 'app', '--', 'node', '--eval', script, ...args];
  return JSON.parse(await kubectl(command)) as Reached;
}
