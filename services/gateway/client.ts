/** An answer of the API, whatever its status: nothing is thrown for one that is not a success. */
export interface Answer<Body = unknown> {
  status: number;
  headers: Headers;
  /** Parsed where it is JSON, text otherwise. */
  body: Body;
}

/** A caller's way into the API. @throws where no answer comes within 20 s */
export type Client = <Body = unknown>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: `/${string}`,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer<Body>>;

/** A client of the API at `baseUrl`, in the name of whom `accessToken` was given to, or of nobody. */
export function client(baseUrl: string, accessToken?: string): Client {
  return async <Body>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(accessToken ? { authorization: `Bearer ${accessToken}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as Body,
    };
  };
}
