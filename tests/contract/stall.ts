import type { FakeSidecar, StateCall } from '../support/fake-sidecar.ts';

/** How long the sidecar waits for the answer to an event. */
const EVENT_TIMEOUT_MS = 8_000;
/** Ends a delivery as the sidecar does. */
export const eventTimeout = (): AbortSignal => AbortSignal.timeout(EVENT_TIMEOUT_MS);
export const NO_ANSWER = 'no answer';

/** Lets every call of the state store wait for `hold`. Resolves at the first call. */
export function holdStateCalls(sidecar: FakeSidecar, hold: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    sidecar.onStateCall(() => {
      resolve();
      return hold();
    });
  });
}

/**
 * Delivers events at once while the state store does not answer the calls that match, and returns the answers. A delivery without an
 * answer in time ends, as that of the sidecar does. Then the store answers again.
 */
export async function deliverDuringStall(
  sidecar: FakeSidecar,
  count: number,
  deliver: (signal: AbortSignal) => Promise<unknown>,
  matches: (call: StateCall) => boolean = () => true,
): Promise<unknown[]> {
  let answer = () => {};
  const stalled = new Promise<void>((resolve) => void (answer = resolve));
  sidecar.onStateCall((call) => (matches(call) ? stalled : undefined));
  try {
    const deliveries = Array.from({ length: count }, () =>
      deliver(eventTimeout()).catch((error: Error) => {
        if (error.name === 'TimeoutError') return NO_ANSWER;
        throw error;
      }),
    );
    return await Promise.all(deliveries);
  } finally {
    sidecar.onStateCall(() => {});
    answer();
  }
}
