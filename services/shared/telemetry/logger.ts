import { pino, type DestinationStream, type Logger } from 'pino';
import { readableLine } from './readable-log.ts';
import { requestFields } from './request-context.ts';

export type { Logger } from 'pino';

/** Fields whose values are redacted, at any of the first three levels. */
const SECRET: ReadonlySet<string> = new Set([
  'password',
  'token',
  'access_token',
  'refresh_token',
  'card_token',
  'authorization',
]);
const REDACTED_LEVELS = 3;
/** So many bytes are written at once. */
const MAX_BUFFERED_BYTES = 8 * 1024;
/** A line is written after this time at the latest. */
const FLUSH_INTERVAL_MS = 100;

/** pino's own option costs several times as much for each line (services/decisions/0137-cheaper-calls.md). */
function redact(fields: object, levels = REDACTED_LEVELS): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields) as [string, unknown][]) {
    // An error is redacted after its serializer has made it an object.
    const isNested = typeof value === 'object' && value && !(value instanceof Error) && levels > 1;
    const nested = isNested ? redact(value, levels - 1) : value;
    const shown = SECRET.has(name) && value !== undefined ? '[redacted]' : nested;
    if (shown === value) continue;
    copy ??= Object.assign(Array.isArray(fields) ? [] : {}, fields) as Record<string, unknown>;
    copy[name] = shown;
  }
  return copy ?? (fields as Record<string, unknown>);
}

/**
 * A JSON logger. Every line contains `service` and the fields of the current request (`request_id`, `trace_id`, `span_id`,
 * `order_id`, ...). Secrets are replaced by `[redacted]`.
 *
 * @param destination standard output by default
 */
export function createLogger(service: string, level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: redact },
    serializers: { err: (error: Error) => redact(pino.stdSerializers.err(error), REDACTED_LEVELS - 1) },
    mixin: requestFields,
  };
  return pino(options, destination ?? standardOutput());
}

/**
 * Writes lines together, because a system call costs more than a line (services/decisions/0137-cheaper-calls.md). A process that is
 * killed by SIGKILL loses its last lines.
 */
function standardOutput(): DestinationStream {
  const output = pino.destination({ sync: true, minLength: MAX_BUFFERED_BYTES });
  let flushing: NodeJS.Timeout | undefined;
  const flush = () => {
    flushing = undefined;
    output.flushSync();
  };
  process.once('exit', flush);
  return {
    write(line) {
      output.write(line);
      flushing ??= setTimeout(flush, FLUSH_INTERVAL_MS).unref();
    },
  };
}

/** A destination that people can read, for a terminal. */
export const readableDestination = (terminal: { write: (text: string) => unknown }): DestinationStream => ({
  write: (line) => void terminal.write(readableLine(line)),
});

/**
 * Whether the line of a successful request is logged. All services decide the same way about the requests of one trace.
 *
 * @param ratio the share of lines that are logged
 */
export function isSampled(ratio: number, { trace_id: traceId }: Record<string, string>): boolean {
  if (ratio >= 1) return true;
  const position = traceId === undefined ? Math.random() : Number.parseInt(traceId.slice(-8), 16) / 2 ** 32;
  return position < ratio;
}
