import { format } from 'node:util';

/** What a line begins with. Its other fields follow the message. */
interface LogLine {
  time: string;
  level: string;
  service: string;
  msg?: string;
  err?: { stack?: string };
}

/** Converts a JSON line into a line for people, such as `09:30:00.000 info orders: listening port=8083`. */
export function readableLine(json: string): string {
  const { time, level, service, msg = '', err, ...fields } = JSON.parse(json) as LogLine;
  const pairs = Object.entries(fields).map(([name, value]) => format(' %s=%s', name, shown(value)));
  const stack = err?.stack === undefined ? '' : `\n${err.stack}`;
  return `${time.slice(11, 23)} ${level} ${service}: ${msg}${pairs.join('')}${stack}\n`;
}

const shown = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : value);
