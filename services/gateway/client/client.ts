import type { z } from 'zod';
import type { OrderChange } from '../../orders/contract.ts';
import { parseRouteKey, type Method } from '../../shared/api-docs/route-table.ts';
import type { loginBody, tokenSchema } from '../../users/contract.ts';
import { createTransport, type Transport } from './transport.ts';
import type { ApiResponse, CallAddress, CallArguments, CallBody, CallHeaders } from './types.ts';
import { watchOrder, type WatchOptions } from './watch.ts';

export type { ApiResponse, CallAddress, ProblemDocument } from './types.ts';

/** The tokens of a session. Without a refresh token, the session ends with its access token. */
export type Tokens = Pick<z.output<typeof tokenSchema>, 'access_token'> &
  Partial<Pick<z.output<typeof tokenSchema>, 'refresh_token'>>;

/**
 * A client of the API, anonymous or with a session. Every response is a result; only a missing response within 20 s throws. If
 * the server rejects the access token, the client refreshes it once and repeats the request. If the refresh fails, the result is
 * the 401.
 */
export interface Client {
  /** `client('GET /api/orders/:id', { params: { id } })` */
  <A extends CallAddress>(address: A, ...given: CallArguments<A>): Promise<ApiResponse<CallBody<A>>>;
  /** Sends a request that the types of the API do not allow. */
  raw: (
    method: Method,
    path: `/${string}`,
    given?: CallHeaders & { body?: unknown },
  ) => Promise<ApiResponse<unknown>>;
  /**
   * Iterates over the changes of an order after version `after`, until the order is final. It reconnects after a lost connection.
   *
   * @throws Error during the iteration, if the server refuses (404), or after ten consecutive failures
   */
  watch: (orderId: string, options?: WatchOptions) => AsyncIterable<OrderChange>;
  /**
   * Returns a client with its own session, which shares the connections of this client.
   *
   * @throws Error if the login fails
   */
  logIn: (credentials: z.input<typeof loginBody>) => Promise<Client>;
  /** Ends the session. The client is anonymous afterwards. */
  logOut: () => Promise<ApiResponse<undefined>>;
  /** The current tokens. A later client can continue the session with them. */
  tokens: () => Tokens | undefined;
  /** Closes the connections, which all clients of `logIn` share. */
  close: () => Promise<void>;
}

const STREAM = '/api/orders/:id/stream';

/**
 * @param tokens the tokens of a session to continue; only this client may refresh them, because using a refresh token twice ends
 * the session
 * @param options `connections`: the maximum of connections; each `watch` holds one
 */
export function createClient(
  baseUrl: string,
  tokens?: Tokens,
  { connections = 128 }: { connections?: number } = {},
): Client {
  return clientOf(createTransport(baseUrl, connections), tokens);
}

function clientOf(transport: Transport, begun: Tokens | undefined): Client {
  let tokens = begun;
  let renewal: Promise<void> | undefined;

  const json = async (method: Method, path: string, given: CallHeaders & { body?: unknown } = {}) => {
    const body = given.body === undefined ? undefined : JSON.stringify(given.body);
    return authorized(given.headers, (headers) => transport.call({ method, path, headers, body }));
  };

  async function authorized<Body>(
    given: Record<string, string> | undefined,
    send: (headers: Record<string, string>) => Promise<ApiResponse<Body>>,
  ): Promise<ApiResponse<Body>> {
    const used = tokens;
    const answer = await send(headersOf(used, given));
    if (!used || !isTokenRefused(answer)) return answer;
    const isRenewed = () => tokens !== undefined && tokens.access_token !== used.access_token;
    // Another request may have refreshed the token meanwhile.
    if (!isRenewed()) await (renewal ??= renew().finally(() => (renewal = undefined)));
    return isRenewed() ? send(headersOf(tokens, given)) : answer;
  }

  /** Refreshes the tokens. If that fails, they stay, except a refresh token that the server rejects. */
  async function renew(): Promise<void> {
    if (!tokens?.refresh_token) return;
    const { refresh_token, ...rest } = tokens;
    const body = JSON.stringify({ grant_type: 'refresh_token', refresh_token });
    const answer = await transport
      .call({ method: 'POST', path: '/api/users/token', headers: {}, body })
      .catch(() => undefined);
    if (answer?.ok) tokens = answer.body as Tokens;
    else if (answer?.status === 401) tokens = rest;
  }

  const call: Client = Object.assign(
    async <A extends CallAddress>(address: A, ...given: CallArguments<A>) => {
      const { method, path } = parseRouteKey(address);
      const [input] = given as [input?: Parts];
      return (await json(method, pathOf(path, input), input)) as ApiResponse<CallBody<A>>;
    },
    {
      raw: json,
      watch: (orderId: string, options?: WatchOptions) =>
        watchOrder(
          (lastEventId, signal) =>
            authorized({ accept: 'text/event-stream', 'last-event-id': lastEventId }, (headers) =>
              transport.open(
                { method: 'GET', path: pathOf(STREAM, { params: { id: orderId } }), headers },
                signal,
              ),
            ),
          options,
        ),
      async logIn(credentials: z.input<typeof loginBody>) {
        return clientOf(transport, unwrap(await call('POST /api/users/login', { body: credentials })));
      },
      async logOut() {
        const answer = await call('POST /api/users/logout');
        if (answer.ok) tokens = undefined;
        return answer;
      },
      tokens: () => tokens,
      close: transport.close,
    },
  );
  return call;
}

/** Returns the body of a success. @throws Error with the problem of a failure */
export function unwrap<Body>(answer: ApiResponse<Body>): Body {
  if (answer.ok) return answer.body;
  const { detail, errors = [] } = answer.body;
  const fields = errors.map(({ field, message }) => ` ${field}: ${message}.`);
  throw new Error(`The API answered ${answer.status}: ${detail}${fields.join('')}`);
}

function headersOf(tokens: Tokens | undefined, given: Record<string, string> = {}): Record<string, string> {
  return tokens ? { authorization: `Bearer ${tokens.access_token}`, ...given } : given;
}

/** Whether the server rejected the access token (RFC 6750, 3.1). A refresh does not help against any other 401. */
function isTokenRefused({ status, headers }: ApiResponse<unknown>): boolean {
  return status === 401 && (headers['www-authenticate'] ?? '').includes('invalid_token');
}

/** The input of any operation. */
interface Parts extends CallHeaders {
  params?: Record<string, string>;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
}

/** The path of an address with variables and query. */
function pathOf(path: string, { params = {}, query }: Parts = {}): string {
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  if (!query) return filled;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  return `${filled}?${search.toString()}`;
}
