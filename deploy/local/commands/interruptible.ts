/**
 * Runs long work. Ctrl-C and SIGTERM abort the signal, so that the work can stop its processes. The program then exits with 130,
 * as after a signal.
 */
export async function runInterruptibly(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => controller.abort(new Error('interrupted')));
  await work(controller.signal).catch((error: unknown) => {
    if (!controller.signal.aborted) throw error;
    process.exitCode = 130;
  });
}
