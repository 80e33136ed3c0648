import { cpus } from 'node:os';

/** The processors and the Node version that a report names. */
export function describeMachine(): string {
  return `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
}
