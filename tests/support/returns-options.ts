import type { ReturnEngine } from '../../services/returns/workflow/engine.ts';

/** Workflows that only record what is asked of them. */
export interface FakeEngine extends ReturnEngine {
  /** The calls, such as `start <return id>`, in order. */
  calls: string[];
  workflows: Map<string, { isRunning: boolean; createdAt: Date }>;
  /** Makes every call fail, as without a sidecar. */
  isDown: boolean;
}

export function createFakeEngine(): FakeEngine {
  const engine: FakeEngine = {
    calls: [],
    workflows: new Map(),
    isDown: false,
    start: async (returnId) => {
      record('start', returnId);
      engine.workflows.set(returnId, { isRunning: true, createdAt: new Date() });
    },
    wake: async (returnId) => record('wake', returnId),
    find: async (returnId) => {
      if (engine.isDown) throw new Error('no sidecar');
      return engine.workflows.get(returnId);
    },
    restart: async (returnId) => record('restart', returnId),
  };
  function record(action: string, returnId: string): void {
    if (engine.isDown) throw new Error('no sidecar');
    engine.calls.push(`${action} ${returnId}`);
  }
  return engine;
}

export const returnsOptions = () => ({
  engine: createFakeEngine(),
  windowDays: 30,
  parcelMs: 14 * 24 * 3_600_000,
  autoApprovalAmount: 0,
});
