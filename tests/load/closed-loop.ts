import { Pool } from 'undici';

/** How many callers there are at a time; each sends its next request when the last one is answered. */
export const CLIENTS = 16;

/** What a closed loop saw. */
export interface Load {
  /** Answers with success; the others are in none of these figures. */
  count: number;
  seconds: number;
  perSecond: number;
  /** The median of an answer's time. Milliseconds. */
  medianMs: number;
}

/** How long measures take, and what ends them early. */
export interface Pace {
  /** Seconds of one measurement. */
  seconds: number;
  signal: AbortSignal;
  /** Told of every request that fails; ends the loop by throwing. */
  onFailure: (error: unknown) => void;
}

/** Runs `request` from all clients until the time is over. */
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
      }
    }
  }

  await Promise.all(Array.from({ length: CLIENTS }, client));
  const seconds = (performance.now() - started) / 1000;
  return { count: times.length, seconds, perSecond: times.length / seconds, medianMs: median(times) };
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The value below which this share of them lies; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** An HTTP client for one address that is none of the API's. */
export interface Door {
  get: (path: string) => Promise<string>;
  post: (path: string, body: unknown) => Promise<string>;
  close: () => Promise<void>;
}

/** As cheap as it can be, since it shares the machine with what it measures. An answer but 2xx is an Error. */
export function openDoor(origin: string, always: Record<string, string> = {}): Door {
  const pool = new Pool(origin, { connections: CLIENTS });

  async function request(method: 'GET' | 'POST', path: string, body?: unknown): Promise<string> {
    const { statusCode, body: answer } = await pool.request({
      method,
      path,
      headers: body === undefined ? always : { ...always, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
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
