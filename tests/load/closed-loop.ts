import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';

/** The usual number of clients. Each sends its next request after the response to the last one. */
export const CLIENTS = 16;

/** Without a pause, rejected clients would keep the machine busy. */
const PAUSE_AFTER_FAILURE_MS = 200;

/** The result of a closed loop. */
export interface Load {
  /** The number of successful requests. Failed ones are not part of any figure. */
  count: number;
  seconds: number;
  perSecond: number;
  /** The median response time. */
  medianMs: number;
}

/** The duration and the clients of a measurement, and what aborts it. */
export interface Pace {
  /** The duration of one measurement. */
  seconds: number;
  /** By default `CLIENTS`. */
  clients?: number;
  signal: AbortSignal;
  /** Gets the error of every failed request. Throwing ends the loop. */
  onFailure: (error: unknown) => void;
}

/** Runs `request` in all clients for the duration of the pace. */
export async function closedLoop(pace: Pace, request: (count: number) => Promise<void>): Promise<Load> {
  const started = performance.now();
  const deadline = started + pace.seconds * 1000;
  const times: number[] = [];
  let sent = 0;

  async function client(): Promise<void> {
    while (performance.now() < deadline) {
      pace.signal.throwIfAborted();
      const before = performance.now();
      try {
        await request(sent++);
        times.push(performance.now() - before);
      } catch (error) {
        pace.onFailure(error);
        await delay(PAUSE_AFTER_FAILURE_MS);
      }
    }
  }

  await Promise.all(Array.from({ length: pace.clients ?? CLIENTS }, client));
  const seconds = (performance.now() - started) / 1000;
  return { count: times.length, seconds, perSecond: times.length / seconds, medianMs: median(times) };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The quantile of the values, or NaN if there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** An HTTP client for one origin outside of the API. */
export interface BareClient {
  get: (path: string) => Promise<string>;
  post: (path: string, body: unknown) => Promise<string>;
  close: () => Promise<void>;
}

/** Creates a minimal client, because it shares the machine with the measured system. It throws if a status is not 2xx. */
export function createBareClient(origin: string, defaultHeaders: Record<string, string> = {}): BareClient {
  const pool = new Pool(origin, { connections: 2 * CLIENTS });

  async function request(method: 'GET' | 'POST', path: string, body?: unknown): Promise<string> {
    const { statusCode, body: responseBody } = await pool.request({
      method,
      path,
      headers:
        body === undefined ? defaultHeaders : { ...defaultHeaders, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await responseBody.text();
    if (statusCode < 200 || statusCode > 299)
      throw new Error(`${method} ${origin}${path}: ${statusCode} ${text}`);
    return text;
  }

  return {
    get: (path) => request('GET', path),
    post: (path, body) => request('POST', path, body),
    close: () => pool.close(),
  };
}
