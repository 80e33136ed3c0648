/**
 * The result of a promise within `ms` milliseconds. `AbortSignal.timeout` costs each call more
 * (services/decisions/0130-libraries-and-own-code.md).
 *
 * @throws Error if it is not settled in time; what it does goes on
 */
export async function withTimeout<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
