import { EventEmitter } from 'node:events';
import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import type { Method } from '../../shared/api-docs/route-table.ts';
import type { ApiResponse, ProblemDocument } from './types.ts';

/** The timeout of a response, including its last byte. */
const REQUEST_TIMEOUT_MS = 20_000;
/** The timeout of a silent stream: three heartbeats of the gateway. */
const MAX_SILENCE_MS = 45_000;
/** The maximum length of a detail from a response without a problem document, which may be a whole page. */
const MAX_DETAIL = 1_000;

export interface Request {
  method: Method;
  /** The path with the query. */
  path: string;
  headers: Record<string, string>;
  /** A JSON text. */
  body?: string | undefined;
}

/** HTTP calls to one server over a connection pool. Every response is a result; only a missing response throws. */
export interface Transport {
  /** @throws Error if no response arrives within 20 s */
  call: (request: Request) => Promise<ApiResponse<unknown>>;
  /**
   * Returns the body of a 200 as a stream, which the caller reads or destroys. Any other success has no body.
   *
   * @throws Error if no response starts within 20 s, or `signal` aborts
   */
  open: (request: Request, signal: AbortSignal | undefined) => Promise<ApiResponse<Readable | undefined>>;
  /** Resolves when all calls in progress have ended. */
  close: () => Promise<void>;
}

/** @param connections the maximum of open connections; further requests wait, and an open stream holds one */
export function createTransport(baseUrl: string, connections: number): Transport {
  const { origin, pathname } = new URL(baseUrl);
  const base = pathname.replace(/\/$/, '');
  const pool = new Pool(origin, { connections, bodyTimeout: MAX_SILENCE_MS });

  /** Sends a request and returns the result of `read`, within the timeout. `callerSignal` also ends it. */
  async function ask<T>(
    { method, path, headers, body }: Request,
    read: (response: Dispatcher.ResponseData) => Promise<T>,
    callerSignal?: AbortSignal,
  ): Promise<T> {
    // An EventEmitter costs less than an AbortController (services/decisions/0122-a-thin-client-of-the-sidecar.md).
    const ending = new EventEmitter();
    let isLate = false;
    // The timer ends before a stream that `open` has returned, which has no time limit.
    const timer = setTimeout(() => {
      isLate = true;
      ending.emit('abort');
    }, REQUEST_TIMEOUT_MS);
    const end = () => void ending.emit('abort');
    callerSignal?.addEventListener('abort', end);
    try {
      callerSignal?.throwIfAborted();
      const response = await pool.request({
        method,
        path: base + path,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: body ?? null,
        signal: ending,
      });
      return await read(response);
    } catch (error) {
      if (!isLate) throw error;
      throw new Error(`${method} ${path}: no answer within ${REQUEST_TIMEOUT_MS / 1000} s`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    call: (request) => ask(request, (response) => answerOf(request, response)),
    open: (request, signal) => {
      const read = async (response: Dispatcher.ResponseData): Promise<ApiResponse<Readable | undefined>> => {
        const { statusCode: status, headers, body } = response;
        if (status === 200) return { ok: true, status, headers, body };
        const answer = await answerOf(request, response);
        return answer.ok ? { ...answer, body: undefined } : answer;
      };
      return ask(request, read, signal);
    },
    close: () => pool.close(),
  };
}

async function answerOf(
  { path }: Request,
  { statusCode: status, headers, body }: Dispatcher.ResponseData,
): Promise<ApiResponse<unknown>> {
  const text = await body.text();
  const mediaType = String(headers['content-type'] ?? '');
  const isJson = /\bjson\b/.test(mediaType);
  const content = isJson ? parse(text) : text || undefined;
  const isReadable = content !== undefined || !isJson;
  if (status >= 200 && status < 300 && isReadable) return { ok: true, status, headers, body: content };
  if (content !== undefined && mediaType.startsWith('application/problem+json'))
    return { ok: false, status, headers, body: content as ProblemDocument };
  const problem = {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: text.slice(0, MAX_DETAIL),
    instance: path.split('?')[0] ?? path,
    request_id: String(headers['x-request-id'] ?? ''),
  };
  return { ok: false, status, headers, body: problem };
}

/** Parses JSON; undefined for any other text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
