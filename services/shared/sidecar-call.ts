/** Another writer was first: the document is not (or no longer) as it was read. Load it again and decide anew. */
export class ConflictError extends Error {}

/** The sidecar could not do what was asked: it, or what stands behind it, is out of reach or over its limits. */
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
  /** Milliseconds. */
  timeout?: number;
  /** Aborted: nobody waits for the answer any more. */
  signal?: AbortSignal;
}

/** Services answer errors as problem documents; anything else comes from the sidecars between, and may tell of what is inside. */
export function isProblem({ headers }: SidecarResponse): boolean {
  return String(headers['content-type']).startsWith('application/problem+json');
}

/**
 * Whether a service's answer is all there. Where a service or its sidecar ends in the middle of its answer, the caller's
 * sidecar (daprd 1.18) has passed on the status, and ends the body as if that were all; of some calls to a service that is
 * just ending it makes a 200 with nothing in it, not even a type.
 */
export function isWhole({ status, headers, body }: SidecarResponse): boolean {
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

/** The error for an answer that is not a success. Only Dapr's error code is kept: messages may quote data. */
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
