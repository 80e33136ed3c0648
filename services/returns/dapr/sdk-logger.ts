import { ConsoleLoggerService, LogLevel, type LoggerOptions } from '@dapr/dapr';
import type { Logger } from '../../shared/telemetry/logger.ts';

/**
 * The log of `@dapr/dapr`, as lines of this service. Errors of the client are also thrown or returned, so they are not repeated
 * here. Texts of the client may quote data, so only warnings of its worker are logged, without their details.
 */
export function sdkLogger(log: Pick<Logger, 'warn'>): LoggerOptions {
  const silent = () => {};
  const warn = (text: unknown) => {
    const line = String(text);
    if (/Work item queue full|Worker failed|Stream abruptly closed/.test(line))
      log.warn({ sdk: line.replace(/^.*?\[/, '[').slice(0, 120) }, 'the workflow worker has a problem');
  };
  const service = { error: warn, warn, info: silent, verbose: silent, debug: silent };
  // The worker accepts no logger, and creates this one.
  Object.assign(ConsoleLoggerService.prototype, service);
  return { level: LogLevel.Warn, service };
}
