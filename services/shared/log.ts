import { pino, type DestinationStream, type Logger } from 'pino';
import { requestFields } from './context.ts';

export type { Logger } from 'pino';

/** Names whose values never reach a log line, wherever they stand in what is logged. */
const SECRET = ['password', 'token', 'access_token', 'refresh_token', 'card_token', 'authorization'];

/**
 * A JSON logger on standard output. Every line has `service` and what is known of the request in hand
 * (`request_id`, `trace_id`, `order_id`, ...); secrets are replaced by `[redacted]`.
 */
export function createLogger(service: string, level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: requestFields,
    redact: {
      paths: SECRET.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[redacted]',
    },
  };
  return destination ? pino(options, destination) : pino(options);
}
