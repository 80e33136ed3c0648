import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runProgram } from '../support/programs.ts';

/** Tests deploy/pipeline/error-rate.sh with a server that responds like Prometheus. */

interface Asked {
  query: string;
  authorization: string | undefined;
}
type Answer = (queries: Asked, res: ServerResponse) => void;

let server: Server | undefined;
afterEach(
  () =>
    new Promise<void>((resolve) => {
      server?.closeAllConnections();
      if (server) server.close(() => resolve());
      else resolve();
      server = undefined;
    }),
);

async function prometheus(answer: Answer): Promise<string> {
  server = createServer((req, res) => {
    const query = new URL(req.url ?? '', 'http://localhost').searchParams.get('query') ?? '';
    answer({ query, authorization: req.headers.authorization }, res);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const send = (res: ServerResponse, value: string | undefined) => {
  const result = value === undefined ? [] : [{ metric: {}, value: [Date.now() / 1000, value] }];
  res.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
};

const isErrorQuery = ({ query }: Asked) => query.includes('status=~"5.."');

/** Returns these counts in turn, and the last one from then on. */
function counted(...counts: { all: string | undefined; errors: string }[]): Answer {
  let queries = 0;
  return (query, res) => {
    const now = counts[Math.min(queries, counts.length - 1)];
    if (isErrorQuery(query)) queries += 1;
    send(res, isErrorQuery(query) ? now?.errors : now?.all);
  };
}

const SHORT_WATCH = { WATCH_SECONDS: '1', GRACE_SECONDS: '1', EVERY_SECONDS: '0.1', ANSWER_SECONDS: '0.5' };
const watch = (
  url: string,
  env: Record<string, string> = {},
  since = String(Math.floor(Date.now() / 1000)),
) =>
  runProgram('deploy/pipeline/error-rate.sh', [since], {
    env: { ...SHORT_WATCH, PROMETHEUS_URL: url, ...env },
  });

describe('the error rate after a deployment', { timeout: 20_000 }, () => {
  it('When few responses are errors, then the objective holds', async () => {
    const url = await prometheus(counted({ all: '1000', errors: '10' }));
    expect(await watch(url)).toMatchObject({ code: 0, out: expect.stringContaining('10 errors of 1000') });
  });

  it('When too many are, then the watch fails at once', async () => {
    const url = await prometheus(counted({ all: '1e+03', errors: '30.5' }));
    const { code, err } = await watch(url, { WATCH_SECONDS: '600' });
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('30.5 errors') });
  });

  it('When there are few requests at first, then a single error does not end the watch', async () => {
    const url = await prometheus(counted({ all: '2', errors: '1' }, { all: '1000', errors: '1' }));
    expect(await watch(url, { WATCH_SECONDS: '2' })).toMatchObject({ code: 0 });
  });

  it('When there are few requests at the end, then a single error fails it', async () => {
    const url = await prometheus(counted({ all: '20', errors: '1' }));
    expect(await watch(url)).toMatchObject({ code: 1 });
  });

  it('When another objective is set, then that one counts', async () => {
    const url = await prometheus(counted({ all: '1000', errors: '30' }));
    expect(await watch(url, { MAX_ERROR_RATIO: '0.05' })).toMatchObject({ code: 0 });
  });

  it('When it queries, then for the gateway since the deployment, with its token', async () => {
    const queries: Asked[] = [];
    const url = await prometheus((query, res) => {
      queries.push(query);
      send(res, isErrorQuery(query) ? '0' : '10');
    });
    const since = String(Math.floor(Date.now() / 1000) - 100);
    const env = { PROMETHEUS_TOKEN: 'a-token', METRICS_SELECTOR: 'app="edge"', WATCH_SECONDS: '0' };
    expect(await watch(url, env, since)).toMatchObject({ code: 0 });
    const [all, errors] = queries;
    expect(all?.query).toMatch(/^sum\(increase\(requests_total\{app="edge"\}\[10[1-9]s\]\)\) > 0$/);
    expect(errors?.query).toContain('{app="edge",status=~"5.."}');
    expect(queries.map(({ authorization }) => authorization)).toEqual(['Bearer a-token', 'Bearer a-token']);
  });

  it.each<[string, Answer]>([
    ['has seen no request', counted({ all: undefined, errors: '0' })],
    ['has no number', counted({ all: 'NaN', errors: '0' })],
    ['answers with an error', (_asked, res) => void res.writeHead(503).end()],
    ['rejects the query', (_asked, res) => void res.end('{"status":"error","errorType":"bad_data"}')],
    ['is something else', (_asked, res) => void res.end('<html></html>')],
    ['never answers', () => {}],
  ])('When Prometheus %s, then the error rate is unknown', async (_what, answer) => {
    const now = { WATCH_SECONDS: '0', GRACE_SECONDS: '0' };
    expect(await watch(await prometheus(answer), now)).toMatchObject({ code: 2 });
  });

  it('When no server listens, then the error rate is unknown', async () => {
    const url = await prometheus(() => {});
    await new Promise((resolve) => server?.close(resolve));
    expect(await watch(url)).toMatchObject({ code: 2 });
    expect(await watch(url, {}, 'reachable')).toMatchObject({ code: 2 });
  });

  it('When Prometheus is unavailable for a while, then its later response counts', async () => {
    let refused = 0;
    const url = await prometheus((query, res) => {
      if (refused < 3) {
        refused += 1;
        res.writeHead(503).end();
      } else send(res, isErrorQuery(query) ? '0' : '10');
    });
    expect(await watch(url, { GRACE_SECONDS: '10' })).toMatchObject({ code: 0 });
  });

  it('When Prometheus responds before the deployment, then the deployment starts', async () => {
    const url = await prometheus((_asked, res) => send(res, '1'));
    expect(await watch(url, {}, 'reachable')).toMatchObject({ code: 0 });
  });
});
