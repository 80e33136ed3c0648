/** Another writer saved the document first. The caller loads the document again and decides again. */
export class ConflictError extends Error {}

/** A call of the sidecar failed, because the sidecar or a component is unavailable or overloaded. */
export class SidecarError extends Error {
  readonly status: number;
  /** Dapr's own error code, such as `ERR_PUBSUB_PUBLISH_MESSAGE`. */
  readonly code: string;

  constructor(what: string, status: number, code: string, options?: ErrorOptions) {
    super(`${what}: ${code} (${status})`, options);
    this.status = status;
    this.code = code;
  }
}

export interface SidecarResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface SidecarRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'PATCH';
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  timeoutMs?: number;
  /** Aborts the call when nobody waits for its response. */
  signal?: AbortSignal;
}

/** Whether a service sent this error. Errors without a problem document come from a sidecar, and may contain internals. */
export function isProblem({ headers }: SidecarResponse): boolean {
  return String(headers['content-type']).startsWith('application/problem+json');
}

/**
 * Whether the response of a service is complete. If a service or its sidecar stops during a response, the caller's sidecar (daprd
 * 1.18) ends the body as if it were complete. For some calls to a stopping service it returns an empty 200 without a content type.
 */
export function isComplete({ status, headers, body }: SidecarResponse): boolean {
  const type = headers['content-type'];
  if (type === undefined) return status !== 200 || body.length > 0;
  if (!/\bjson\b/.test(String(type)) || status === 204 || status === 304) return true;
  try {
    JSON.parse(body.toString());
    return true;
  } catch {
    return false;
  }
}

/** The error for a failed response. It contains only Dapr's error code, because messages may quote data. */
export function sidecarError(what: string, response: SidecarResponse): SidecarError {
  return new SidecarError(what, response.status, errorCode(response.body));
}

function errorCode(body: Buffer): string {
  try {
    const { errorCode: code } = JSON.parse(body.toString()) as { errorCode?: string };
    return code ?? 'UNKNOWN';
  } catch {
    return 'UNKNOWN';
  }
}
