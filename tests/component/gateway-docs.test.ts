import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/gateway/app.ts';
import { routes } from '../../services/gateway/routes.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

let service: ServiceUnderTest;
beforeEach(async () => {
  service = await startService((deps) => createApp({ ...deps, ...gatewayOptions() }));
});
afterEach(() => service.stop());

interface Operation {
  security?: unknown;
  parameters?: { name: string; in: string; required: boolean; schema: unknown }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Record<string, unknown> }> };
  responses: Record<string, { content?: Record<string, { schema: unknown }> }>;
}
interface Description {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Record<string, unknown>> };
}

async function description(): Promise<Description> {
  const response = await service.http.get('/openapi.json');
  expect(response.status).toBe(200);
  return response.body as Description;
}
const operationOf = async (method: string, path: string) => (await description()).paths[path]![method]!;

describe('GET /openapi.json', () => {
  it('When it is read, then it has exactly the routes of the table', async () => {
    const { openapi, paths } = await description();
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const table = routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(openapi).toBe('3.1.1');
    expect(described.toSorted()).toEqual(table.toSorted());
  });

  it('When it is read, then all but the public routes require a token', async () => {
    const { paths } = await description();
    for (const { method, path, access } of routes) {
      const { security } = paths[path.replaceAll(/:(\w+)/g, '{$1}')]![method.toLowerCase()]!;
      expect([path, security]).toEqual([path, access === 'public' ? [] : [{ token: [] }]]);
    }
  });

  it('When it has a reference, then the target exists', async () => {
    const document = await description();
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path = '']) => path,
    );
    expect(references).toContain('components/schemas/Order');
    for (const path of new Set(references)) {
      let part: unknown = document;
      for (const step of path.split('/')) part = (part as Record<string, unknown>)[step];
      expect([path, typeof part]).toEqual([path, 'object']);
    }
  });

  it('When a schema has a name, then the document has it once', async () => {
    const { components } = await description();
    expect(components.schemas['OrderList']).toMatchObject({
      properties: { items: { items: { $ref: '#/components/schemas/Order' } } },
    });
    expect(JSON.stringify(components)).not.toMatch(/"\$(id|schema)"/);
  });

  it('When an order is placed, then both forms of the body and the idempotency key are described', async () => {
    const { requestBody, parameters, responses } = await operationOf('post', '/api/orders');
    expect(requestBody?.required).toBe(true);
    expect(requestBody?.content['application/json']?.schema['anyOf']).toHaveLength(2);
    expect(parameters).toMatchObject([{ name: 'Idempotency-Key', in: 'header', required: false }]);
    expect(Object.keys(responses).join(' ')).toBe('201 400 401 403 409 413 414 415 422 429 431 503');
  });

  it.each([
    ['post', '/api/users/register'],
    ['post', '/api/users/login'],
    ['put', '/api/users/{id}'],
  ])('When %s %s takes an e-mail address, then its format says so', async (method, path) => {
    const { requestBody } = await operationOf(method, path);
    expect(requestBody?.content['application/json']?.schema['properties']).toMatchObject({
      email: { type: 'string', format: 'email' },
    });
  });

  it('When a body is optional, then it is not required', async () => {
    const { requestBody } = await operationOf('post', '/api/orders/{id}/cancel');
    expect(requestBody?.required).toBe(false);
  });

  it('When a list is read, then its query parameters have their bounds', async () => {
    const { parameters = [] } = await operationOf('get', '/api/orders');
    expect(parameters.map(({ name }) => name).toSorted()).toEqual([
      'cursor',
      'customer_id',
      'limit',
      'status',
    ]);
    expect(parameters.find(({ name }) => name === 'limit')).toMatchObject({
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    });
  });

  it('When a request fails, then the response is a problem document, except for the health of the system', async () => {
    const { paths } = await description();
    const failures = Object.entries(paths).flatMap(([path, operations]) =>
      Object.values(operations).flatMap(({ responses }) =>
        Object.entries(responses)
          .filter(([status]) => Number(status) >= 400)
          .map(([status, { content }]) => [`${path} ${status}`, Object.keys(content ?? {})] as const),
      ),
    );
    expect(failures.length).toBeGreaterThan(100);
    const others = failures.filter(([, [type]]) => type !== 'application/problem+json');
    expect(others.map(([what]) => what)).toEqual(['/health 503']);
  });
});

describe('GET /docs', () => {
  it('When the page is opened, then it loads only files of this server', async () => {
    const page = await service.http.get('/docs');
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const loads = [...page.text.matchAll(/(?:src|href|url)[=:] ?["']([^"']+)["']/g)].map(
      ([, path = '']) => path,
    );
    expect(loads).toContain('/docs/start.js');
    expect((await service.http.get('/docs/start.js')).text).toContain("'/openapi.json'");
    for (const path of loads) expect([path, (await service.http.get(path)).status]).toEqual([path, 200]);
  });

  it.each(['index.html', 'package.json', '..%2F..%2Fpackage.json'])(
    'When %s of the package is requested, then the response is 404',
    async (file) => {
      expect((await service.http.get(`/docs/${file}`)).status).toBe(404);
    },
  );
});
