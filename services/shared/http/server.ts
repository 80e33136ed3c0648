import {
  createServer,
  STATUS_CODES,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PROBLEM_TYPE } from './problem.ts';

/** The time limits for the headers and for the whole request of a client. */
const SERVER_TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
};

export interface HttpOptions {
  /**
   * How long a connection may be idle. It must be longer than the timeout of the client, so that the client closes first. A
   * sidecar closes idle connections after 60 s.
   */
  keepAliveTimeoutMs?: number;
  /** The limit of URL and headers together. The default is the `readBufferSize` of the sidecars in dapr.yaml. */
  maxHeaderBytes?: number;
}

type Refusal = [status: number, slug: string, detail: string];

const CLIENT_ERRORS: Record<string, Refusal> = {
  HPE_HEADER_OVERFLOW: [431, 'headers-too-large', 'The URL and the headers are too large. Shorten them.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'too-large', 'The chunk extensions are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request-timeout', 'The request did not arrive in time. Send it again.'],
};
const NOT_HTTP: Refusal = [400, 'bad-request', 'The request is not valid HTTP.'];
const NO_HOST: Refusal = [400, 'bad-request', 'The Host header is missing.'];
const NOT_EXPECTED: Refusal = [417, 'expectation-failed', 'The Expect header must be 100-continue.'];
const NO_TUNNEL: Refusal = [501, 'not-implemented', 'The CONNECT method is not supported.'];

/** The response to a request that does not reach the app: a problem document. */
function answerTo([status, slug, detail]: Refusal) {
  const title = STATUS_CODES[status] ?? 'Error';
  const type = `${PROBLEM_TYPE}${slug}`;
  const body = JSON.stringify({ type, title, status, detail, instance: '', request_id: '' });
  const headers = {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  return { status, title, headers, body };
}

function rejectMalformed(res: ServerResponse, refusal: Refusal): void {
  const { status, headers, body } = answerTo(refusal);
  res.writeHead(status, headers).end(body);
}

/** Sends the refusal on the socket, if Node.js has no response object. */
function refuseAt(socket: Duplex, refusal: Refusal): void {
  const { status, title, headers, body } = answerTo(refusal);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${title}\r\n${lines.join('')}\r\n${body}`);
  // `end` would leave the connection open until the client closes its half.
  (socket as Socket).destroySoon();
}

/** Creates a server that sends problem documents for requests that Node.js itself refuses. */
export function createHttpServer(app: RequestListener, options: HttpOptions): Server {
  const { keepAliveTimeoutMs = 75_000, maxHeaderBytes = 32 * 1024 } = options;
  const limits = { ...SERVER_TIMEOUTS, keepAliveTimeout: keepAliveTimeoutMs, maxHeaderSize: maxHeaderBytes };
  const latest = new WeakMap<Duplex, ServerResponse>();

  /** Refuses a request that is not valid HTTP. */
  function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const answer = latest.get(socket);
    const isInAnswer = answer?.headersSent && !answer.writableFinished;
    if (!socket.writable || isInAnswer || error.code === 'ECONNRESET') return void socket.destroy();
    refuseAt(socket, CLIENT_ERRORS[error.code ?? ''] ?? NOT_HTTP);
  }

  return createServer({ ...limits, requireHostHeader: false }, (req, res) => {
    latest.set(req.socket, res);
    if (req.headers.host === undefined && req.httpVersion === '1.1') return rejectMalformed(res, NO_HOST);
    req.url = originForm(req.url ?? '/');
    app(req, res);
  })
    .on('checkExpectation', (_req, res) => rejectMalformed(res, NOT_EXPECTED))
    .on('connect', (_req, socket) => refuseAt(socket, NO_TUNNEL))
    .on('clientError', refuseBroken);
}

/** Converts an absolute URL, as clients send it to proxies, into a path (RFC 9112, 3.2.2). */
function originForm(target: string): string {
  const rest = /^https?:\/\/[^/?]*(.*)$/i.exec(target)?.[1];
  if (rest === undefined) return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}
