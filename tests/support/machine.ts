import { cpus } from 'node:os';

/** What figures were measured on. */
export function machine(): string {
  return `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
}
