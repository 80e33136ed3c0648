/** Aborted by Ctrl-C and SIGTERM: whoever has started something ends it then. */
export function untilInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort(new Error('interrupted')));
  return interrupted.signal;
}
