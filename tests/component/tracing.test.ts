import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { SamplingDecision, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { boundedExporter, oncePerMinute, problemOf } from '../../services/shared/telemetry/span-exporter.ts';
import { reservoirSampler } from '../../services/shared/telemetry/tracing.ts';

describe('sampling', () => {
  it('When more traces begin in a second than the limit, then the rest is not sampled until the next second', () => {
    let now = 0;
    let limit = 3;
    const sampler = reservoirSampler(
      () => limit,
      () => now,
    );
    const sampled = () =>
      sampler.shouldSample(ROOT_CONTEXT, '', '', SpanKind.SERVER, {}, []).decision ===
      SamplingDecision.RECORD_AND_SAMPLED;
    expect([1, 2, 3, 4, 5].map(sampled)).toEqual([true, true, true, false, false]);
    now = 1_000;
    expect(sampled()).toBe(true);
    limit = 0;
    expect(sampled()).toBe(false);
  });
});

describe('a collector', () => {
  const exporterOf = (send: SpanExporter['export']): SpanExporter =>
    boundedExporter({ export: send, shutdown: () => Promise.resolve() });

  it('When it refuses, then the export fails with its reason', () => {
    const error = new Error('Not Found');
    const results: ExportResult[] = [];
    const exporter = exporterOf((_, done) => done({ code: ExportResultCode.FAILED, error }));
    exporter.export([], (result) => results.push(result));
    expect(results).toEqual([{ code: ExportResultCode.FAILED, error }]);
  });

  it('When it never answers, then an export fails after five seconds, and only four are in progress', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const waiting: ((result: ExportResult) => void)[] = [];
    const results: string[] = [];
    const exporter = exporterOf((_, done) => void waiting.push(done));
    const send = () => exporter.export([], ({ error }) => results.push(error?.message ?? 'sent'));
    for (let count = 0; count < 5; count++) send();
    expect(results).toEqual(['earlier exports are still in progress']);
    vi.advanceTimersByTime(5_000);
    const late = Array<string>(4).fill('no answer within 5000 ms');
    expect(results).toEqual(['earlier exports are still in progress', ...late]);
    for (const done of waiting) done({ code: ExportResultCode.SUCCESS });
    expect(results).toHaveLength(5);
    send();
    waiting.at(-1)?.({ code: ExportResultCode.SUCCESS });
    expect(results.at(-1)).toBe('sent');
  });

  it('When exports fail again and again, then one report per minute has how often', () => {
    let now = 0;
    const reports: [string, number][] = [];
    const report = oncePerMinute(
      (problem, suppressed) => void reports.push([problem, suppressed]),
      () => now,
    );
    for (; now < 150_000; now += 5_000) report('refused');
    expect(reports).toEqual([
      ['refused', 0],
      ['refused', 11],
      ['refused', 11],
    ]);
  });

  it('When no address of its host accepts a connection, then the code tells so', () => {
    const error = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
    expect(problemOf(error)).toBe('ECONNREFUSED');
  });
});
