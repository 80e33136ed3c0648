import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { context, SpanKind, trace, type Span } from '@opentelemetry/api';
import {
  captureContext,
  requestFields,
  requestIdFrom,
  runInContext,
  runInRequest,
} from '../../shared/telemetry/request-context.ts';
import { isSampled, type Logger } from '../../shared/telemetry/logger.ts';
import { createRequestRecorder } from '../../shared/telemetry/common-metrics.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import { markFailed, tracer } from '../../shared/telemetry/spans.ts';
import { traceResponse } from '../http/server-span.ts';
import { metadataValue } from './authenticated-handlers.ts';

/** Whether a method is a health check or reflection, which are not logged. */
const isProbe = (method: string) => method.startsWith('grpc.');
const nameOf = ({ path }: { path: string }) => path.slice(1);

/** Statuses that are server errors (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/). */
const FAULTS: ReadonlySet<status> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/** As in the lines of HTTP requests. */
function outcomeOf(code: status): string {
  if (code === status.OK) return 'ok';
  if (code === status.CANCELLED) return 'client disconnected';
  return FAULTS.has(code) ? 'failed' : 'refused';
}

/**
 * Runs each call in its own context and span, and logs it at its end. An interceptor does not wrap the handler. But grpc-js calls
 * the handler synchronously from one of these events, so each event is forwarded within the context.
 */
export function contextInterceptor(log: Logger, logSampleRatio: () => number): ServerInterceptor {
  return (definition, call) => {
    const started = performance.now();
    const method = nameOf(definition);
    const responseMetadata = new Metadata();
    let here = captureContext();
    let span: Span | undefined;
    let hasSentMetadata = false;

    const ended = end(call, (code) =>
      runInContext(here, () => {
        if (span && FAULTS.has(code)) markFailed(span, status[code]);
        span?.setAttribute('rpc.grpc.status_code', code).end();
        if (isProbe(method)) return;
        if (code === status.OK && !isSampled(logSampleRatio(), requestFields())) return;
        const duration_ms = Math.round((performance.now() - started) * 10) / 10;
        const outcome = outcomeOf(code);
        log.info({ method, code: status[code], duration_ms, outcome }, 'grpc request completed');
      }),
    );

    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, proceed) {
            const requestId = requestIdFrom(metadataValue(metadata, 'x-request-id'));
            responseMetadata.set('x-request-id', requestId);
            const traceHeaders = {
              traceparent: metadataValue(metadata, 'traceparent'),
              tracestate: metadataValue(metadata, 'tracestate'),
            };
            runInRequest(traceHeaders, { request_id: requestId }, () => {
              if (!isProbe(method)) {
                span = serverSpan(method);
                responseMetadata.set('traceresponse', traceResponse(span));
              }
              here = span ? trace.setSpan(context.active(), span) : context.active();
              runInContext(here, () => proceed(metadata));
            });
          },
          onReceiveMessage: (message, proceed) => runInContext(here, () => proceed(message)),
          onReceiveHalfClose: (proceed) => runInContext(here, proceed),
          onCancel: () => ended(undefined),
        }),
      sendMetadata(metadata, next) {
        hasSentMetadata = true;
        metadata.merge(responseMetadata);
        next(metadata);
      },
      sendStatus(answer, next) {
        ended(answer.code);
        if (hasSentMetadata) return next(answer);
        const metadata = answer.metadata?.clone() ?? new Metadata();
        metadata.merge(responseMetadata);
        next({ ...answer, metadata });
      },
    });
  };
}

/** Counts and measures all calls but health checks and reflection. */
export function metricsInterceptor(metrics: Metrics): ServerInterceptor {
  const recordRequest = createRequestRecorder(metrics);
  return (definition, call) => {
    const [route = '', method = ''] = nameOf(definition).split('/');
    if (isProbe(route)) return new ServerInterceptingCall(call);
    const started = performance.now();
    const ended = end(call, (code) => {
      const seconds = (performance.now() - started) / 1000;
      recordRequest({ protocol: 'grpc', method, route, status: status[code] }, seconds);
    });
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onCancel: () => ended(undefined) }),
      sendStatus(answer, next) {
        ended(answer.code);
        next(answer);
      },
    });
  };
}

type Call = Parameters<ServerInterceptor>[1];

/**
 * The tolerance for deadlines. A caller cancels at its own deadline, which is earlier than the deadline here by
 * the time that the call has travelled.
 */
const DEADLINE_TOLERANCE_MS = 100;

/**
 * Calls `onEnd` once, at the end of a call. grpc-js reports calls that it ends itself, such as at a deadline, as cancelled. The
 * clock shows whether it was the deadline.
 */
function end(call: Call, onEnd: (code: status) => void): (code: status | undefined) => void {
  let isOpen = true;
  // The deadline is a time of day, so a clock change would falsify a later comparison.
  const timeLeft = Number(call.getDeadline()) - Date.now();
  const started = performance.now();
  return (code) => {
    if (!isOpen) return;
    isOpen = false;
    const isLate = performance.now() - started >= timeLeft - DEADLINE_TOLERANCE_MS;
    onEnd(code ?? (isLate ? status.DEADLINE_EXCEEDED : status.CANCELLED));
  };
}

function serverSpan(method: string): Span {
  const [service = '', name = ''] = method.split('/');
  return tracer().startSpan(method, {
    kind: SpanKind.SERVER,
    attributes: { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': name },
  });
}
