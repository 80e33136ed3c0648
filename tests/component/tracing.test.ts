import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { SamplingDecision } from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import { reservoirSampler } from '../../services/shared/telemetry/tracing.ts';

describe('sampling', () => {
  it('When more traces begin in a second than the limit, then the rest is not sampled until the next second', () => {
    let now = 0;
    const sampler = reservoirSampler(
      () => 3,
      () => now,
    );
    const sampled = () =>
      sampler.shouldSample(ROOT_CONTEXT, '', '', SpanKind.SERVER, {}, []).decision ===
      SamplingDecision.RECORD_AND_SAMPLED;
    expect([1, 2, 3, 4, 5].map(sampled)).toEqual([true, true, true, false, false]);
    now = 1_000;
    expect(sampled()).toBe(true);
  });
});
