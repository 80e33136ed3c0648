import { context, SpanKind, trace, type Span } from '@opentelemetry/api';
import type { RequestHandler } from 'express';
import { addRequestFields } from '../../shared/telemetry/request-context.ts';
import { markFailed, tracer } from '../../shared/telemetry/spans.ts';

/** https://w3c.github.io/trace-context/#trace-context-http-response-headers-format */
export function traceResponse(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/**
 * Opens a span until the response is sent (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server). It is the
 * root of the trace unless the client sent a trace. `traceresponse` contains its ids.
 */
export function serverSpan(method: string, path: string): RequestHandler {
  const name = `${method} ${path}`;
  return (req, res, next) => {
    const span = tracer().startSpan(name, {
      kind: SpanKind.SERVER,
      attributes: {
        'http.request.method': req.method,
        'http.route': path,
        'url.path': req.path,
        'url.scheme': req.protocol,
      },
    });
    const { traceId, spanId } = span.spanContext();
    // The line of the request is logged outside the span.
    addRequestFields({ trace_id: traceId, span_id: spanId });
    res.setHeader('traceresponse', traceResponse(span));
    res.once('close', () => {
      span.setAttribute('http.response.status_code', res.statusCode);
      if (res.statusCode >= 500) markFailed(span, String(res.statusCode));
      span.end();
    });
    context.with(trace.setSpan(context.active(), span), next);
  };
}
