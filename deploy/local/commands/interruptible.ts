/**
 * Does what may take long. Ctrl-C and SIGTERM abort the signal: whoever has started something ends it then, and the
 * program ends with 130, as if the signal had ended it.
 */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => interrupted.abort(new Error('interrupted')));
  await work(interrupted.signal).catch((error: unknown) => {
    if (!interrupted.signal.aborted) throw error;
    process.exitCode = 130;
  });
}
