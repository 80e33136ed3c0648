import { Metadata, status } from '@grpc/grpc-js';
import { requestId } from '../../shared/telemetry/request-context.ts';
import { ProblemError, problemSchema } from '../../shared/http/problem.ts';
import { isProblem, sidecarError, type SidecarResponse } from '../../shared/dapr/sidecar-call.ts';
import type { Protocol } from './protocol.ts';

/** The error of a call in the form of grpc-js. */
export interface GrpcError {
  code: status;
  details: string;
  metadata: Metadata;
}

/** The maximum of violations, because clients accept about 8 KB of metadata. */
const MAX_VIOLATIONS = 20;

/**
 * Converts a problem into a gRPC error. Its detail is the message; `grpc-status-details-bin` contains a `google.rpc.Status` with
 * the rest (https://cloud.google.com/apis/design/errors#error_model).
 */
export function toGrpcError(problem: ProblemError, encode: Protocol['encode']): GrpcError {
  const code = codeOf(problem);
  const any = (type: string, message: object) => ({
    type_url: `type.googleapis.com/google.rpc.${type}`,
    value: encode(`google.rpc.${type}`, message),
  });
  const { slug, errors, message, headers } = problem;
  const request_id = requestId();
  const retryAfter = Number(headers['retry-after']);
  const details = [
    any('ErrorInfo', { reason: slug.toUpperCase().replaceAll('-', '_'), domain: 'sidecart' }),
    ...(request_id ? [any('RequestInfo', { request_id })] : []),
    ...(errors ? [any('BadRequest', { field_violations: violations(errors) })] : []),
    ...(retryAfter > 0 ? [any('RetryInfo', { retry_delay: { seconds: retryAfter } })] : []),
  ];
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', encode('google.rpc.Status', { code, message, details }));
  return { code, details: message, metadata };
}

/** https://cloud.google.com/apis/design/errors#handling_errors */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  409: status.FAILED_PRECONDITION,
  412: status.FAILED_PRECONDITION,
  413: status.RESOURCE_EXHAUSTED,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
};

function codeOf({ status: http, slug }: ProblemError): status {
  // The only conflict that a retry resolves.
  if (slug === 'idempotency-key-in-use') return status.ABORTED;
  return CODES[http] ?? status.INTERNAL;
}

/** Converts field errors. `items.0.quantity` is `items[0].quantity` in gRPC. */
function violations(errors: NonNullable<ProblemError['errors']>): { field: string; description: string }[] {
  return errors.slice(0, MAX_VIOLATIONS).map(({ field, message }) => ({
    field: field.replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]'),
    description: message,
  }));
}

/** The error of a response: the problem of the service, or the error of the sidecar. */
export function toResponseError(service: string, response: SidecarResponse): Error {
  const { headers, body } = response;
  if (!isProblem(response)) return sidecarError(`invoke ${service}`, response);
  const { status: http, type, detail, errors } = problemSchema.parse(JSON.parse(body.toString()));
  const retryAfter = headers['retry-after'];
  return new ProblemError(http, type.split(':').at(-1) ?? '', detail, {
    ...(errors ? { errors } : {}),
    ...(typeof retryAfter === 'string' ? { headers: { 'retry-after': retryAfter } } : {}),
  });
}
