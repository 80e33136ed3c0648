import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import {
  unwrap,
  createClient,
  type Client,
  type ProblemDocument,
} from '../../services/gateway/client/client.ts';
import type { Order, OrderChange } from '../../services/orders/contract.ts';

const ID = randomUUID();
const ORDER: Order = {
  order_id: ID,
  customer_id: randomUUID(),
  status: 'PENDING',
  items: [{ product_id: 'mug-blue', name: 'Mug, blue', quantity: 1, unit_price: 1290 }],
  total: 1290,
  currency: 'EUR',
  version: 1,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
};
const PROBLEM: ProblemDocument = {
  type: 'urn:sidecart:problem:not-found',
  title: 'Not Found',
  status: 404,
  detail: 'Order not found.',
  instance: `/api/orders/${ID}`,
  request_id: 'r1',
};

interface ReceivedRequest {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingMessage['headers'];
  body: string;
}
type Answering = (requests: ReceivedRequest, res: ServerResponse) => void;

/** The requests that the server has received, in order, and its responses. */
let requests: ReceivedRequest[];
let answering: Answering;
let client: Client;
let baseUrl: string;
const server = createServer((req, res) => {
  void arrive(req, res);
});
async function arrive(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { method, url, headers } = req;
  const one = { method, url, headers, body: await text(req) };
  requests.push(one);
  answering(one, res);
}

beforeEach(async () => {
  requests = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createClient(baseUrl);
});
afterEach(async () => {
  vi.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await client.close();
});

function answer(
  res: ServerResponse,
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
): void {
  const mediaType = status >= 400 ? 'application/problem+json' : 'application/json';
  if (body === undefined) res.writeHead(status, headers).end();
  else res.writeHead(status, { 'content-type': mediaType, ...headers }).end(JSON.stringify(body));
}

const getOrder = (from: Client) => from('GET /api/orders/:id', { params: { id: ID } });

describe('a call', () => {
  it('When an operation is called, then its path, input and response have the types of the API', () => {
    answering = (_, res) => answer(res, 200, {});
    const order = () => client('GET /api/orders/:id', { params: { id: ID } });
    expectTypeOf<Extract<Awaited<ReturnType<typeof order>>, { ok: true }>['body']>().toEqualTypeOf<Order>();
    const logOut = () => client('POST /api/users/logout');
    expectTypeOf<
      Extract<Awaited<ReturnType<typeof logOut>>, { ok: true }>['body']
    >().toEqualTypeOf<undefined>();
    expectTypeOf<
      Extract<Awaited<ReturnType<typeof logOut>>, { ok: false }>['body']
    >().toEqualTypeOf<ProblemDocument>();

    expectTypeOf(() => client('GET /api/inventory')).toBeFunction();
    expectTypeOf(() => client('GET /api/inventory', { query: { limit: 5 } })).toBeFunction();
    expectTypeOf(() => client('POST /api/orders/:id/cancel', { params: { id: ID } })).toBeFunction();
    // @ts-expect-error the id is missing
    expectTypeOf(() => client('GET /api/orders/:id')).toBeFunction();
    // @ts-expect-error the query has to name the order
    expectTypeOf(() => client('GET /api/payments')).toBeFunction();
    // @ts-expect-error the limit is a number
    expectTypeOf(() => client('GET /api/inventory', { query: { limit: 'all' } })).toBeFunction();
    // @ts-expect-error a quantity is missing
    expectTypeOf(() => client('POST /api/orders', { body: { product_id: 'mug-blue' } })).toBeFunction();
    // @ts-expect-error it takes no query
    expectTypeOf(() => client('GET /health', { query: {} })).toBeFunction();
    // @ts-expect-error the gateway has no internal addresses
    expectTypeOf(() => client('GET /sessions/revoked')).toBeFunction();
    // @ts-expect-error a stream is watched
    expectTypeOf(() => client('GET /api/orders/:id/stream', { params: { id: ID } })).toBeFunction();
  });

  it('When all inputs are given, then the server receives them', async () => {
    answering = (_, res) => answer(res, 200, {});
    await client('GET /api/orders', {
      query: { status: 'PAID', limit: 5, cursor: 'a&b' },
      headers: { traceparent: '00-1-2-01' },
    });
    await client('PUT /api/orders/:id/status', { params: { id: 'a/b' }, body: { status: 'SHIPPED' } });
    expect(requests[0]).toMatchObject({
      method: 'GET',
      url: '/api/orders?status=PAID&limit=5&cursor=a%26b',
      headers: { traceparent: '00-1-2-01' },
      body: '',
    });
    expect(requests[0]!.headers).not.toHaveProperty('content-type');
    expect(requests[1]).toMatchObject({
      method: 'PUT',
      url: '/api/orders/a%2Fb/status',
      headers: { 'content-type': 'application/json' },
      body: '{"status":"SHIPPED"}',
    });
  });

  it('When the API has a base path, then every request starts with it', async () => {
    answering = (_, res) => answer(res, 200, {});
    const below = createClient(`${baseUrl}/shop/`);
    await below('GET /health');
    await below.close();
    expect(requests[0]!.url).toBe('/shop/health');
  });

  it('When the call succeeds, then the result has the body, the status and the headers', async () => {
    answering = (_, res) => answer(res, 200, ORDER, { etag: '"1"' });
    const response = await getOrder(client);
    expect(response).toMatchObject({ ok: true, status: 200, headers: { etag: '"1"' }, body: ORDER });
    expect(unwrap(response)).toEqual(ORDER);
  });

  it('When the response is empty, then the body is undefined', async () => {
    answering = (_, res) => answer(res, 204);
    expect(await client('DELETE /api/users/:id', { params: { id: ID } })).toMatchObject({
      ok: true,
      status: 204,
      body: undefined,
    });
  });

  it('When the types forbid an input, then a cast can still send it', async () => {
    answering = (_, res) => answer(res, 422, { ...PROBLEM, status: 422 });
    const response = await client.raw('POST', '/api/orders?x=1', { body: { items: 1 }, headers: { a: 'b' } });
    expect(response).toMatchObject({ ok: false, status: 422 });
    expect(requests[0]).toMatchObject({ url: '/api/orders?x=1', body: '{"items":1}', headers: { a: 'b' } });
  });
});

describe('a response that is not a success', () => {
  it('When it is a problem, then the body is the problem, and unwrap throws it', async () => {
    const errors = [{ field: 'items', message: 'is missing' }];
    answering = (_, res) => answer(res, 404, { ...PROBLEM, errors });
    const response = await getOrder(client);
    expect(response).toMatchObject({ ok: false, status: 404, body: PROBLEM });
    expect(() => unwrap(response)).toThrow('The API answered 404: Order not found. items: is missing.');
  });

  it.each([
    ['text', 502, 'text/html', '<h1>Bad Gateway</h1>', 'Bad Gateway'],
    ['JSON of another server', 500, 'application/json', '{"errorCode":"ERR"}', 'Internal Server Error'],
    ['a problem cut off', 503, 'application/problem+json', '{"type":', 'Service Unavailable'],
    ['a success without its body', 201, 'application/json', '', 'Created'],
    ['a success cut off', 200, 'application/json', '{"order_id":', 'OK'],
    ['nothing', 304, 'application/json', '', 'Not Modified'],
  ])('When it is %s, then the client builds a problem for it', async (_, status, mediaType, body, title) => {
    answering = (__, res) =>
      res.writeHead(status, { 'content-type': mediaType, 'x-request-id': 'r2' }).end(body);
    const response = await getOrder(client);
    expect(response).toMatchObject({ ok: false, status });
    expect(response.body).toEqual({
      type: 'about:blank',
      title,
      status,
      detail: body,
      instance: `/api/orders/${ID}`,
      request_id: 'r2',
    });
  });

  it('When the server is unreachable, then the call throws', async () => {
    const nobody = createClient('http://127.0.0.1:1');
    await expect(nobody('GET /health')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await nobody.close();
  });

  it('When no response comes, then the call throws after 20 seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const arrived = new Promise<void>((resolve) => {
      answering = (_, res) => {
        res.writeHead(200, { 'content-type': 'application/json' }).write('{');
        resolve();
      };
    });
    const thrown = client('GET /health').catch((error: unknown) => error);
    await arrived;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await thrown).toEqual(new Error('GET /health: no answer within 20 s'));
  });
});

describe('a session', () => {
  const tokens = (number: number) => ({
    access_token: `access-${number}`,
    refresh_token: `refresh-${number}`,
  });
  const reject = (res: ServerResponse) =>
    answer(res, 401, { ...PROBLEM, status: 401 }, { 'www-authenticate': 'Bearer error="invalid_token"' });
  /** Accepts only this access token. `users` handles requests to `users`. */
  const accepting =
    (valid: string, users: Answering): Answering =>
    (one, res) => {
      if (one.url?.startsWith('/api/users/')) users(one, res);
      else if (one.headers.authorization === `Bearer ${valid}`) answer(res, 200, ORDER);
      else reject(res);
    };
  const renewals = () => requests.filter(({ url }) => url === '/api/users/token');

  it('When a user logs in, then the new client sends the token and the old one does not', async () => {
    answering = (_, res) => answer(res, 200, { ...tokens(1), token_type: 'Bearer' });
    const ada = await client.logIn({ email: 'ada@example.com', password: 'correct horse' });
    await getOrder(ada);
    await getOrder(client);
    expect(requests[0]).toMatchObject({ body: '{"email":"ada@example.com","password":"correct horse"}' });
    expect(requests[1]!.headers.authorization).toBe('Bearer access-1');
    expect(requests[2]!.headers).not.toHaveProperty('authorization');
    expect(ada.tokens()).toMatchObject(tokens(1));
  });

  it('When the login is rejected, then it throws an error without secrets', async () => {
    answering = (_, res) => answer(res, 401, { ...PROBLEM, detail: 'Wrong.' });
    const error = await client
      .logIn({ email: 'ada@example.com', password: 'correct horse' })
      .catch((thrown: unknown) => thrown);
    expect(error).toEqual(new Error('The API answered 401: Wrong.'));
  });

  it('When many requests get 401 at once, then the client refreshes once and repeats all of them', async () => {
    answering = accepting('access-2', (_, res) => answer(res, 200, tokens(2)));
    const ada = createClient(baseUrl, tokens(1));
    const answers = await Promise.all(Array.from({ length: 20 }, () => getOrder(ada)));
    await ada.close();
    expect(answers.every(({ ok }) => ok)).toBe(true);
    expect(renewals().map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { grant_type: 'refresh_token', refresh_token: 'refresh-1' },
    ]);
    expect(ada.tokens()).toEqual(tokens(2));
  });

  it('When a late 401 is about the previous token, then the request is repeated with the new one', async () => {
    let release = () => {};
    const refresh = accepting('access-2', (_, res) => answer(res, 200, tokens(2)));
    answering = (one, res) => {
      if (one.url === '/health' && requests.length === 1) release = () => reject(res);
      else refresh(one, res);
    };
    const ada = createClient(baseUrl, tokens(1));
    const late = ada('GET /health');
    await vi.waitFor(() => expect(requests).toHaveLength(1));
    await getOrder(ada);
    release();
    expect((await late).status).toBe(200);
    await ada.close();
    expect(renewals()).toHaveLength(1);
  });

  it('When the new token is rejected, too, then the call returns that response', async () => {
    let number = 1;
    answering = accepting('never', (_, res) => answer(res, 200, tokens(++number)));
    const ada = createClient(baseUrl, tokens(1));
    expect((await getOrder(ada)).status).toBe(401);
    expect((await getOrder(ada)).status).toBe(401);
    await ada.close();
    expect(
      renewals().map(({ body }) => (JSON.parse(body) as { refresh_token: string }).refresh_token),
    ).toEqual(['refresh-1', 'refresh-2']);
  });

  it.each<[string, Answering, number]>([
    ['is rejected', (_, res) => answer(res, 401, PROBLEM), 1],
    ['cannot be had now', (_, res) => answer(res, 503, PROBLEM), 2],
    ['is not answered', (_, res) => res.destroy(), 2],
  ])('When the refresh %s, then the call returns the 401 and does not throw', async (_, users, tries) => {
    answering = accepting('access-2', users);
    const ada = createClient(baseUrl, tokens(1));
    expect((await getOrder(ada)).status).toBe(401);
    expect((await getOrder(ada)).status).toBe(401);
    await ada.close();
    expect(renewals()).toHaveLength(tries);
  });

  it('When there is no refresh token, then the call returns the 401', async () => {
    answering = (_, res) => reject(res);
    const ada = createClient(baseUrl, { access_token: 'access-1' });
    expect((await getOrder(ada)).status).toBe(401);
    await ada.close();
    expect(requests).toHaveLength(1);
  });

  it('When a 401 is not about the token, then the client does not refresh', async () => {
    answering = (_, res) => answer(res, 401, PROBLEM);
    const ada = createClient(baseUrl, tokens(1));
    await ada('POST /api/users/login', { body: { email: 'ada@example.com', password: 'wrong one' } });
    await ada.close();
    expect(requests).toHaveLength(1);
  });

  it('When the logout succeeds, then the client has no tokens; when it fails, then it keeps them', async () => {
    answering = (_, res) => answer(res, 503, PROBLEM);
    const ada = createClient(baseUrl, tokens(1));
    expect((await ada.logOut()).ok).toBe(false);
    expect(ada.tokens()).toEqual(tokens(1));
    answering = (_, res) => answer(res, 204);
    expect((await ada.logOut()).ok).toBe(true);
    expect(ada.tokens()).toBeUndefined();
    await ada.close();
    expect(requests[1]).toMatchObject({ method: 'POST', headers: { authorization: 'Bearer access-1' } });
  });
});

describe('an order that is watched', () => {
  const change = (version: number, status: Order['status'], type: OrderChange['type']): OrderChange => ({
    type,
    order: { ...ORDER, version, status },
  });
  const CREATED = change(1, 'PENDING', 'order.created');
  const PAID = change(2, 'PAID', 'order.paid');
  const DELIVERED = change(3, 'DELIVERED', 'order.delivered');
  const eventOf = ({ type, order }: OrderChange) =>
    `id: ${order.version}\nevent: ${type}\ndata: ${JSON.stringify(order)}\n\n`;

  /** Starts a stream with these changes. Like the gateway, it ends the stream when the order has ended. */
  function stream(res: ServerResponse, ...changes: OrderChange[]): void {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(`retry: 5\n\n${changes.map(eventOf).join('')}`);
    if (changes.some(({ order }) => order.status === 'DELIVERED')) res.end();
  }

  async function watch(...[options]: [Parameters<Client['watch']>[1]?]): Promise<OrderChange[]> {
    const seen: OrderChange[] = [];
    for await (const one of client.watch(ID, options)) seen.push(one);
    return seen;
  }
  const lastEventIds = () => requests.map(({ headers }) => headers['last-event-id']);

  it('When it ends, then the stream has had every change in order', async () => {
    answering = (_, res) => {
      stream(res, CREATED);
      res.write(eventOf(PAID).slice(0, 30));
      res.end(eventOf(PAID).slice(30) + eventOf(DELIVERED));
    };
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED]);
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      url: `/api/orders/${ID}/stream`,
      headers: { accept: 'text/event-stream', 'last-event-id': '0' },
    });
  });

  it('When the order was refunded after its end, then the stream has the refund, too', async () => {
    const refunded = change(4, 'DELIVERED', 'order.refunded');
    answering = (_, res) => stream(res, CREATED, PAID, DELIVERED, refunded);
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED, refunded]);
    expect(requests).toHaveLength(1);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ['breaks', (res) => res.write('event: order', () => res.destroy())],
    ['is ended by the server', (res) => res.end()],
  ])('When the connection %s, then the stream resumes after the last event', async (_, end) => {
    answering = (__, res) => {
      if (requests.length > 1) return stream(res, PAID, DELIVERED);
      stream(res, CREATED, PAID);
      end(res);
    };
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED]);
    expect(lastEventIds()).toEqual(['0', '2']);
  });

  it('When the server is unavailable for a while, then the client reconnects', async () => {
    answering = (_, res) => {
      if (requests.length === 1) {
        stream(res, CREATED);
        res.end();
      } else if (requests.length < 4) answer(res, requests.length === 2 ? 503 : 429, PROBLEM);
      else stream(res, DELIVERED);
    };
    expect(await watch()).toEqual([CREATED, DELIVERED]);
  });

  it('When there is no change after the known version, then the stream ends at once', async () => {
    answering = (_, res) => answer(res, 204);
    expect(await watch({ after: 3 })).toEqual([]);
    expect(lastEventIds()).toEqual(['3']);
  });

  it('When there is no such order, then it throws and does not reconnect', async () => {
    answering = (_, res) => answer(res, 404, PROBLEM);
    await expect(watch()).rejects.toThrow('Watching the order failed: 404 Order not found.');
    expect(requests).toHaveLength(1);
  });

  it('When the connection keeps failing, then it throws in the end', async () => {
    answering = (_, res) => {
      stream(res);
      res.end();
    };
    await expect(watch()).rejects.toThrow('Watching the order failed: the server closed the stream');
    expect(requests).toHaveLength(10);
  });

  it('When heartbeats arrive, then the number of lost connections has no limit', async () => {
    answering = (_, res) => {
      if (requests.length === 15) return stream(res, DELIVERED);
      stream(res);
      res.end(':\n\n');
    };
    expect(await watch()).toEqual([DELIVERED]);
  });

  it('When the token is rejected, then the client refreshes it', async () => {
    answering = (one, res) => {
      if (one.url === '/api/users/token') answer(res, 200, { access_token: 'access-2' });
      else if (one.headers.authorization === 'Bearer access-2') stream(res, DELIVERED);
      else answer(res, 401, PROBLEM, { 'www-authenticate': 'Bearer error="invalid_token"' });
    };
    const ada = createClient(baseUrl, { access_token: 'access-1', refresh_token: 'refresh-1' });
    for await (const one of ada.watch(ID)) expect(one).toEqual(DELIVERED);
    await ada.close();
    expect(requests).toHaveLength(3);
  });

  it('When it is aborted, then the stream and the connection end', async () => {
    const closed = new Promise<void>((resolve) => {
      answering = (_, res) => {
        res.once('close', resolve);
        stream(res, CREATED);
      };
    });
    const aborting = new AbortController();
    const seen: OrderChange[] = [];
    for await (const one of client.watch(ID, { signal: aborting.signal })) {
      seen.push(one);
      aborting.abort();
    }
    expect(seen).toEqual([CREATED]);
    await closed;
    expect(await watch({ signal: aborting.signal })).toEqual([]);
  });

  it('When the consumer stops reading, then the connection ends', async () => {
    const closed = new Promise<void>((resolve) => {
      answering = (_, res) => {
        res.once('close', resolve);
        stream(res, CREATED);
      };
    });
    for await (const { order } of client.watch(ID)) if (order.status === 'PENDING') break;
    await closed;
    expect(requests).toHaveLength(1);
  });
});
