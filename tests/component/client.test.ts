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

interface Asked {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingMessage['headers'];
  body: string;
}
type Answering = (asked: Asked, res: ServerResponse) => void;

/** What the server was asked, in order, and how it answers. */
let asked: Asked[];
let answering: Answering;
let client: Client;
let baseUrl: string;
const server = createServer((req, res) => {
  void arrive(req, res);
});
async function arrive(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { method, url, headers } = req;
  const one = { method, url, headers, body: await text(req) };
  asked.push(one);
  answering(one, res);
}

beforeEach(async () => {
  asked = [];
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
  it('When an operation is called, then its address, input and answer have the types of the API', () => {
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

  it('When it is given all there is, then the server is sent it', async () => {
    answering = (_, res) => answer(res, 200, {});
    await client('GET /api/orders', {
      query: { status: 'PAID', limit: 5, cursor: 'a&b' },
      headers: { traceparent: '00-1-2-01' },
    });
    await client('PUT /api/orders/:id/status', { params: { id: 'a/b' }, body: { status: 'SHIPPED' } });
    expect(asked[0]).toMatchObject({
      method: 'GET',
      url: '/api/orders?status=PAID&limit=5&cursor=a%26b',
      headers: { traceparent: '00-1-2-01' },
      body: '',
    });
    expect(asked[0]!.headers).not.toHaveProperty('content-type');
    expect(asked[1]).toMatchObject({
      method: 'PUT',
      url: '/api/orders/a%2Fb/status',
      headers: { 'content-type': 'application/json' },
      body: '{"status":"SHIPPED"}',
    });
  });

  it('When the API lies below a path, then all addresses do', async () => {
    answering = (_, res) => answer(res, 200, {});
    const below = createClient(`${baseUrl}/shop/`);
    await below('GET /health');
    await below.close();
    expect(asked[0]!.url).toBe('/shop/health');
  });

  it('When it succeeds, then the answer is the body with its status and headers', async () => {
    answering = (_, res) => answer(res, 200, ORDER, { etag: '"1"' });
    const given = await getOrder(client);
    expect(given).toMatchObject({ ok: true, status: 200, headers: { etag: '"1"' }, body: ORDER });
    expect(unwrap(given)).toEqual(ORDER);
  });

  it('When there is nothing in the answer, then the body is undefined', async () => {
    answering = (_, res) => answer(res, 204);
    expect(await client('DELETE /api/users/:id', { params: { id: ID } })).toMatchObject({
      ok: true,
      status: 204,
      body: undefined,
    });
  });

  it('When the types forbid it, then it can be sent all the same', async () => {
    answering = (_, res) => answer(res, 422, { ...PROBLEM, status: 422 });
    const given = await client.raw('POST', '/api/orders?x=1', { body: { items: 1 }, headers: { a: 'b' } });
    expect(given).toMatchObject({ ok: false, status: 422 });
    expect(asked[0]).toMatchObject({ url: '/api/orders?x=1', body: '{"items":1}', headers: { a: 'b' } });
  });
});

describe('an answer that is no success', () => {
  it('When it is a problem, then the body is the problem, and who has to have a success is told why not', async () => {
    const errors = [{ field: 'items', message: 'is missing' }];
    answering = (_, res) => answer(res, 404, { ...PROBLEM, errors });
    const given = await getOrder(client);
    expect(given).toMatchObject({ ok: false, status: 404, body: PROBLEM });
    expect(() => unwrap(given)).toThrow('The API answered 404: Order not found. items: is missing.');
  });

  it.each([
    ['text', 502, 'text/html', '<h1>Bad Gateway</h1>', 'Bad Gateway'],
    ['JSON of somebody else', 500, 'application/json', '{"errorCode":"ERR"}', 'Internal Server Error'],
    ['a problem cut off', 503, 'application/problem+json', '{"type":', 'Service Unavailable'],
    ['a success without its body', 201, 'application/json', '', 'Created'],
    ['a success cut off', 200, 'application/json', '{"order_id":', 'OK'],
    ['nothing', 304, 'application/json', '', 'Not Modified'],
  ])('When it is %s, then a problem is made up around it', async (_, status, mediaType, body, title) => {
    answering = (__, res) =>
      res.writeHead(status, { 'content-type': mediaType, 'x-request-id': 'r2' }).end(body);
    const given = await getOrder(client);
    expect(given).toMatchObject({ ok: false, status });
    expect(given.body).toEqual({
      type: 'about:blank',
      title,
      status,
      detail: body,
      instance: `/api/orders/${ID}`,
      request_id: 'r2',
    });
  });

  it('When nobody answers, then it throws', async () => {
    const nobody = createClient('http://127.0.0.1:1');
    await expect(nobody('GET /health')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await nobody.close();
  });

  it('When the answer does not come, then it throws after 20 seconds', async () => {
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
  const refused = (res: ServerResponse) =>
    answer(res, 401, { ...PROBLEM, status: 401 }, { 'www-authenticate': 'Bearer error="invalid_token"' });
  /** Takes only this access token; what is asked of users is answered by `users`. */
  const accepting =
    (valid: string, users: Answering): Answering =>
    (one, res) => {
      if (one.url?.startsWith('/api/users/')) users(one, res);
      else if (one.headers.authorization === `Bearer ${valid}`) answer(res, 200, ORDER);
      else refused(res);
    };
  const renewals = () => asked.filter(({ url }) => url === '/api/users/token');

  it('When somebody logs in, then that client calls in their name, and the other still in nobody’s', async () => {
    answering = (_, res) => answer(res, 200, { ...tokens(1), token_type: 'Bearer' });
    const ada = await client.logIn({ email: 'ada@example.com', password: 'correct horse' });
    await getOrder(ada);
    await getOrder(client);
    expect(asked[0]).toMatchObject({ body: '{"email":"ada@example.com","password":"correct horse"}' });
    expect(asked[1]!.headers.authorization).toBe('Bearer access-1');
    expect(asked[2]!.headers).not.toHaveProperty('authorization');
    expect(ada.tokens()).toMatchObject(tokens(1));
  });

  it('When the login is refused, then it throws, and what it throws has no secrets', async () => {
    answering = (_, res) => answer(res, 401, { ...PROBLEM, detail: 'Wrong.' });
    const error = await client
      .logIn({ email: 'ada@example.com', password: 'correct horse' })
      .catch((thrown: unknown) => thrown);
    expect(error).toEqual(new Error('The API answered 401: Wrong.'));
  });

  it('When a token is refused to many requests at once, then it is renewed once and all are repeated', async () => {
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

  it('When a late answer refuses the token of before, then the new one is used', async () => {
    let release = () => {};
    const usual = accepting('access-2', (_, res) => answer(res, 200, tokens(2)));
    answering = (one, res) => {
      if (one.url === '/health' && asked.length === 1) release = () => refused(res);
      else usual(one, res);
    };
    const ada = createClient(baseUrl, tokens(1));
    const late = ada('GET /health');
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    await getOrder(ada);
    release();
    expect((await late).status).toBe(200);
    await ada.close();
    expect(renewals()).toHaveLength(1);
  });

  it('When the new token is refused too, then that is the answer', async () => {
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
    ['is refused', (_, res) => answer(res, 401, PROBLEM), 1],
    ['cannot be had now', (_, res) => answer(res, 503, PROBLEM), 2],
    ['is not answered', (_, res) => res.destroy(), 2],
  ])('When the renewal %s, then the 401 stays, and nothing is thrown', async (_, users, tries) => {
    answering = accepting('access-2', users);
    const ada = createClient(baseUrl, tokens(1));
    expect((await getOrder(ada)).status).toBe(401);
    expect((await getOrder(ada)).status).toBe(401);
    await ada.close();
    expect(renewals()).toHaveLength(tries);
  });

  it('When there is no refresh token, then the 401 stays', async () => {
    answering = (_, res) => refused(res);
    const ada = createClient(baseUrl, { access_token: 'access-1' });
    expect((await getOrder(ada)).status).toBe(401);
    await ada.close();
    expect(asked).toHaveLength(1);
  });

  it('When a 401 is not about the token, then nothing is renewed', async () => {
    answering = (_, res) => answer(res, 401, PROBLEM);
    const ada = createClient(baseUrl, tokens(1));
    await ada('POST /api/users/login', { body: { email: 'ada@example.com', password: 'wrong one' } });
    await ada.close();
    expect(asked).toHaveLength(1);
  });

  it('When it is logged out, then the client is nobody’s; where that fails, it is not', async () => {
    answering = (_, res) => answer(res, 503, PROBLEM);
    const ada = createClient(baseUrl, tokens(1));
    expect((await ada.logOut()).ok).toBe(false);
    expect(ada.tokens()).toEqual(tokens(1));
    answering = (_, res) => answer(res, 204);
    expect((await ada.logOut()).ok).toBe(true);
    expect(ada.tokens()).toBeUndefined();
    await ada.close();
    expect(asked[1]).toMatchObject({ method: 'POST', headers: { authorization: 'Bearer access-1' } });
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

  /** Begins a stream with these changes. As the gateway does, it ends the stream where the order has ended. */
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
  const lastEventIds = () => asked.map(({ headers }) => headers['last-event-id']);

  it('When it ends, then every change was told as it came', async () => {
    answering = (_, res) => {
      stream(res, CREATED);
      res.write(eventOf(PAID).slice(0, 30));
      res.end(eventOf(PAID).slice(30) + eventOf(DELIVERED));
    };
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      url: `/api/orders/${ID}/stream`,
      headers: { accept: 'text/event-stream', 'last-event-id': '0' },
    });
  });

  it('When the order was refunded after its end, then that is told, too', async () => {
    const refunded = change(4, 'DELIVERED', 'order.refunded');
    answering = (_, res) => stream(res, CREATED, PAID, DELIVERED, refunded);
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED, refunded]);
    expect(asked).toHaveLength(1);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ['breaks', (res) => res.write('event: order', () => res.destroy())],
    ['is ended by the server', (res) => res.end()],
  ])('When the connection %s, then it goes on where it was', async (_, end) => {
    answering = (__, res) => {
      if (asked.length > 1) return stream(res, PAID, DELIVERED);
      stream(res, CREATED, PAID);
      end(res);
    };
    expect(await watch()).toEqual([CREATED, PAID, DELIVERED]);
    expect(lastEventIds()).toEqual(['0', '2']);
  });

  it('When the server cannot answer for a while, then it is asked again', async () => {
    answering = (_, res) => {
      if (asked.length === 1) {
        stream(res, CREATED);
        res.end();
      } else if (asked.length < 4) answer(res, asked.length === 2 ? 503 : 429, PROBLEM);
      else stream(res, DELIVERED);
    };
    expect(await watch()).toEqual([CREATED, DELIVERED]);
  });

  it('When there is nothing after the version that is known, then it ends at once', async () => {
    answering = (_, res) => answer(res, 204);
    expect(await watch({ after: 3 })).toEqual([]);
    expect(lastEventIds()).toEqual(['3']);
  });

  it('When there is no such order, then it throws and does not ask again', async () => {
    answering = (_, res) => answer(res, 404, PROBLEM);
    await expect(watch()).rejects.toThrow('Watching the order failed: 404 Order not found.');
    expect(asked).toHaveLength(1);
  });

  it('When the connection is lost again and again, then it throws in the end', async () => {
    answering = (_, res) => {
      stream(res);
      res.end();
    };
    await expect(watch()).rejects.toThrow('Watching the order failed: the server closed the stream');
    expect(asked).toHaveLength(10);
  });

  it('When heartbeats come, then no loss of the connection is one too many', async () => {
    answering = (_, res) => {
      if (asked.length === 15) return stream(res, DELIVERED);
      stream(res);
      res.end(':\n\n');
    };
    expect(await watch()).toEqual([DELIVERED]);
  });

  it('When the token is refused, then it is renewed', async () => {
    answering = (one, res) => {
      if (one.url === '/api/users/token') answer(res, 200, { access_token: 'access-2' });
      else if (one.headers.authorization === 'Bearer access-2') stream(res, DELIVERED);
      else answer(res, 401, PROBLEM, { 'www-authenticate': 'Bearer error="invalid_token"' });
    };
    const ada = createClient(baseUrl, { access_token: 'access-1', refresh_token: 'refresh-1' });
    for await (const one of ada.watch(ID)) expect(one).toEqual(DELIVERED);
    await ada.close();
    expect(asked).toHaveLength(3);
  });

  it('When it is aborted, then it ends, and so does the connection', async () => {
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

  it('When whoever watches has seen enough, then the connection ends', async () => {
    const closed = new Promise<void>((resolve) => {
      answering = (_, res) => {
        res.once('close', resolve);
        stream(res, CREATED);
      };
    });
    for await (const { order } of client.watch(ID)) if (order.status === 'PENDING') break;
    await closed;
    expect(asked).toHaveLength(1);
  });
});
