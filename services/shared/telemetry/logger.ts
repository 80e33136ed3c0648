import { pino, type DestinationStream, type Logger } from 'pino';
import { requestFields } from './request-context.ts';

export type { Logger } from 'pino';

/** Fields whose values are redacted, at any of the first three levels. */
const SECRET = ['password', 'token', 'access_token', 'refresh_token', 'card_token', 'authorization'];

/**
 * A JSON logger on standard output. Every line contains `service` and the fields of the current request (`request_id`,
 * `trace_id`, `order_id`, ...). Secrets are replaced by `[redacted]`.
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
