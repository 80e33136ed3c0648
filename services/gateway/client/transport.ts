import { EventEmitter } from 'node:events';
import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import type { Method } from '../../shared/api.ts';
import type { Answer, ProblemDocument } from './types.ts';

/** How long an answer may take, the last byte of it included. Milliseconds. */
const ANSWER_WITHIN = 20_000;
/** Three of the gateway's heartbeats: a stream that is silent for longer is dead. Milliseconds. */
const SILENT_FOR = 45_000;
/** Of a text that is no problem document; it may be a whole page. */
const MAX_DETAIL = 1_000;

export interface Request {
  method: Method;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  /** JSON */
  body?: string | undefined;
}

/** One server over connections that are kept. Whatever is wrong with an answer, it is one: only where there is none is thrown. */
export interface Transport {
  /** @throws Error where no answer comes within 20 s */
  call: (request: Request) => Promise<Answer<unknown>>;
  /**
   * A 200 as the stream that it is, to be read or destroyed; any other success without a body.
   *
   * @throws Error where no answer begins within 20 s, or `signal` is aborted; the stream's errors are its own
   */
  open: (request: Request, signal: AbortSignal | undefined) => Promise<Answer<Readable | undefined>>;
  /** Resolves when what is under way has ended. */
  close: () => Promise<void>;
}

/** @param connections the most that are open at a time; further requests wait for one, and an open stream holds one */
export function openTransport(baseUrl: string, connections: number): Transport {
  const { origin, pathname } = new URL(baseUrl);
  const base = pathname.replace(/\/$/, '');
  const pool = new Pool(origin, { connections, bodyTimeout: SILENT_FOR });

  /** Asks, and gives what `read` makes of the answer before the time is over. */
  async function ask<T>(
    { method, path, headers, body }: Request,
    { signal, end }: Ending,
    read: (response: Dispatcher.ResponseData) => Promise<T>,
  ): Promise<T> {
    const timer = setTimeout(
      () => end(new Error(`${method} ${path}: no answer within ${ANSWER_WITHIN / 1000} s`)),
      ANSWER_WITHIN,
    );
    try {
      const response = await pool.request({
        method,
        path: base + path,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: body ?? null,
        signal,
      });
      return await read(response);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    call: (request) => ask(request, endingAlone(), (response) => answerOf(request, response)),
    open: (request, signal) =>
      ask(request, endingWith(signal), async (response): Promise<Answer<Readable | undefined>> => {
        const { statusCode: status, headers, body } = response;
        if (status === 200) return { ok: true, status, headers, body };
        const answer = await answerOf(request, response);
        return answer.ok ? { ...answer, body: undefined } : answer;
      }),
    close: () => pool.close(),
  };
}

/** What ends a request before it is answered. */
interface Ending {
  signal: AbortSignal | EventEmitter;
  end: (reason: Error) => void;
}

/** Undici takes an EventEmitter too; an AbortController would make a call cost half as much again. */
function endingAlone(): Ending {
  const signal = Object.assign(new EventEmitter(), { reason: undefined as Error | undefined });
  const end = (reason: Error) => {
    signal.reason = reason;
    signal.emit('abort');
  };
  return { signal, end };
}

function endingWith(signal: AbortSignal | undefined): Ending {
  const own = new AbortController();
  return {
    signal: signal ? AbortSignal.any([signal, own.signal]) : own.signal,
    end: (reason) => own.abort(reason),
  };
}

async function answerOf(
  { path }: Request,
  { statusCode: status, headers, body }: Dispatcher.ResponseData,
): Promise<Answer<unknown>> {
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

/** Undefined where it is no JSON after all. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
