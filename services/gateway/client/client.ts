import type { z } from 'zod';
import type { OrderChange } from '../../orders/contract.ts';
import { parted, type Method } from '../../shared/api.ts';
import type { loginBody, tokenSchema } from '../../users/contract.ts';
import { openTransport, type Transport } from './transport.ts';
import type { Answer, CallAddress, CallArguments, CallBody, CallHeaders } from './types.ts';
import { watchOrder, type WatchOptions } from './watch.ts';

export type { Answer, CallAddress, ProblemDocument } from './types.ts';

/** What a login gives; without the refresh token, a session ends with its access token. */
export type Tokens = Pick<z.output<typeof tokenSchema>, 'access_token'> &
  Partial<Pick<z.output<typeof tokenSchema>, 'refresh_token'>>;

/**
 * A caller's way into the API, in the name of whoever logged in, or of nobody. An answer is an answer whatever its status:
 * only where none comes within 20 s is an Error thrown. An access token that is refused is renewed once, and the request
 * sent again; where that fails, the answer is the 401.
 */
export interface Client {
  /** `client('GET /api/orders/:id', { params: { id } })` */
  <A extends CallAddress>(address: A, ...given: CallArguments<A>): Promise<Answer<CallBody<A>>>;
  /** For what the types of the API forbid. */
  raw: (
    method: Method,
    path: `/${string}`,
    given?: CallHeaders & { body?: unknown },
  ) => Promise<Answer<unknown>>;
  /**
   * The changes of an order after version `after`, as they happen, until it has ended. A lost connection is made anew.
   *
   * @throws Error, while it is iterated, where the server refuses (404) or is lost ten times in a row
   */
  watch: (orderId: string, options?: WatchOptions) => AsyncIterable<OrderChange>;
  /**
   * A client with a session of its own, over the connections of this one.
   *
   * @throws Error where the login is refused
   */
  logIn: (credentials: z.input<typeof loginBody>) => Promise<Client>;
  /** Ends the session; the client is nobody's from then on. */
  logOut: () => Promise<Answer<undefined>>;
  /** The tokens as they are now: whoever keeps them can go on with the session later. */
  tokens: () => Tokens | undefined;
  /** Closes the connections, those of all sessions too that were begun here. */
  close: () => Promise<void>;
}

const STREAM = '/api/orders/:id/stream';

/**
 * @param tokens of a session to go on with; this client renews them from now on, and nobody else may: a refresh token that
 * is used twice ends its session
 * @param options `connections`: the most at a time, of which each `watch` holds one
 */
export function createClient(
  baseUrl: string,
  tokens?: Tokens,
  { connections = 128 }: { connections?: number } = {},
): Client {
  return clientOf(openTransport(baseUrl, connections), tokens);
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
    send: (headers: Record<string, string>) => Promise<Answer<Body>>,
  ): Promise<Answer<Body>> {
    const used = tokens;
    const answer = await send(headersOf(used, given));
    if (!used || !isTokenRefused(answer)) return answer;
    const isRenewed = () => tokens !== undefined && tokens.access_token !== used.access_token;
    // Another request may have done it while this one was under way.
    if (!isRenewed()) await (renewal ??= renew().finally(() => (renewal = undefined)));
    return isRenewed() ? send(headersOf(tokens, given)) : answer;
  }

  /** Where it fails, all stays as it is; a refresh token that is refused is never good again. */
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
      const { method, path } = parted(address);
      const [input] = given as [input?: Parts];
      return (await json(method, pathOf(path, input), input)) as Answer<CallBody<A>>;
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
        return clientOf(transport, bodyOf(await call('POST /api/users/login', { body: credentials })));
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

/** The body of an answer that has to be a success. @throws Error with the problem where it is none */
export function bodyOf<Body>(answer: Answer<Body>): Body {
  if (answer.ok) return answer.body;
  const { detail, errors = [] } = answer.body;
  const fields = errors.map(({ field, message }) => ` ${field}: ${message}.`);
  throw new Error(`The API answered ${answer.status}: ${detail}${fields.join('')}`);
}

function headersOf(tokens: Tokens | undefined, given: Record<string, string> = {}): Record<string, string> {
  return tokens ? { authorization: `Bearer ${tokens.access_token}`, ...given } : given;
}

/** RFC 6750, 3.1: other reasons for a 401, such as a wrong password, are not mended by another token. */
function isTokenRefused({ status, headers }: Answer<unknown>): boolean {
  return status === 401 && (headers['www-authenticate'] ?? '').includes('invalid_token');
}

/** What an operation can be given, whichever it is. */
interface Parts extends CallHeaders {
  params?: Record<string, string>;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
}

/** The path of an address with its variables and the query filled in. */
function pathOf(path: string, { params = {}, query }: Parts = {}): string {
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  if (!query) return filled;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  return `${filled}?${search.toString()}`;
}
