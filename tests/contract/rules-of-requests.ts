import { describe, expect, it } from 'vitest';
import { ADMIN, CUSTOMER, type Subject } from './subject.ts';
import type { Answer } from './checked-service.ts';
import type { Operation } from './documents.ts';

const titled = (all: readonly Operation[]) => all.map((one) => [`${one.method} ${one.path}`, one] as const);

/** Services differ in what they check first: the resource, or the rest of the request. */
const isHidden = ({ path }: Operation, { status }: Answer) =>
  path.includes('{') && [403, 404].includes(status);

/** The rules of CONTRACT.md, Requests. */
export function describeRequests({ documents, call, pathOf, queryOf, callerFor, exampleOf }: Subject): void {
  const { routes, received } = documents;
  const json = (route: Operation) => ({ json: exampleOf(route) });
  const withBody = titled(routes.filter(({ requestBody }) => requestBody));
  const withParameter = (test: (one: { name: string; in: string }) => boolean) =>
    titled(routes.filter(({ parameters = [] }) => parameters.some(test)));

  describe('CONTRACT.md, Requests', () => {
    it.each([
      ...routes.map((route) => [route.method, pathOf(route)] as const),
      ...received.map(({ type }) => ['POST', `/events/${type}`] as const),
    ])('When %s %s comes without the token of the sidecar, then 401', async (method, path) => {
      for (const token of ['', 'wrong']) {
        const { slug } = await call(method, path, { headers: { ...ADMIN, 'dapr-api-token': token } });
        expect(slug).toBe('unauthenticated');
      }
    });

    it('When no route matches, then 404', async () => {
      expect((await call('GET', '/no/such/route', { headers: ADMIN })).slug).toBe('not-found');
    });

    it.each(titled(routes.filter((one) => one['x-access'] === 'admin')))(
      'When %s has no caller, then 401, and for a customer 403',
      async (_, route) => {
        const path = pathOf(route) + queryOf(route);
        expect((await call(route.method, path, json(route))).slug).toBe('unauthenticated');
        expect((await call(route.method, path, { ...json(route), headers: CUSTOMER })).slug).toBe(
          'forbidden',
        );
      },
    );

    it.each(titled(routes.filter(({ path }) => path.includes('{'))))(
      'When a variable of %s is malformed, then 404',
      async (_, route) => {
        const path = pathOf(route, 'a.b') + queryOf(route);
        const answer = await call(route.method, path, { ...json(route), headers: callerFor(route) });
        expect(isHidden(route, answer)).toBe(true);
      },
    );

    it.each(withParameter((one) => one.in === 'query'))(
      'When a query parameter of %s is invalid, then the 400 names it',
      async (_, route) => {
        const parameters = route.parameters!.filter((one) => one.in === 'query');
        for (const { name, schema } of parameters) {
          const wrong = ['', '!', 'x'.repeat(200)].find((text) => documents.checkSchema(schema, text));
          if (wrong === undefined) continue;
          const query = new URLSearchParams(queryOf(route));
          query.set(name, wrong);
          const answer = await call(route.method, `${pathOf(route)}?${query.toString()}`, {
            headers: callerFor(route),
          });
          if (isHidden(route, answer)) continue;
          expect([answer.slug, fieldsOf(answer)]).toEqual(['invalid-query', [name]]);
        }
      },
    );

    it.each(withBody)('When the body of %s is broken, then 400, 413 or 415', async (_, route) => {
      const headers = { ...callerFor(route), 'content-type': 'application/json' };
      const slugOf = async (text: string, type = 'application/json') => {
        const call_ = { headers: { ...headers, 'content-type': type }, text };
        return (await call(route.method, pathOf(route), call_)).slug;
      };
      expect(await slugOf('{')).toBe('malformed-json');
      expect(await slugOf(JSON.stringify({ name: 'x'.repeat(120_000) }))).toBe('too-large');
      expect(await slugOf('{}', 'text/html')).toBe('unsupported-media-type');
    });

    it.each(withBody)(
      'When the body of %s has an unknown or a wrong field, then the 422 names it',
      async (_, route) => {
        const { schema } = route.requestBody!.content['application/json'];
        const { required = [], additionalProperties } = schema as {
          required?: string[];
          additionalProperties?: boolean;
        };
        const example = exampleOf(route) ?? {};
        const wrong = [
          ...(additionalProperties === false
            ? [['no_such_field', { ...example, no_such_field: 1 }] as const]
            : []),
          ...required.map((field) => [field, { ...example, [field]: {} }] as const),
        ];
        for (const [field, body] of wrong) {
          const answer = await call(route.method, pathOf(route), { headers: callerFor(route), json: body });
          if (isHidden(route, answer)) continue;
          expect([answer.slug, fieldsOf(answer)]).toEqual(['invalid-input', [field]]);
        }
      },
    );

    it.each(withParameter((one) => one.name === 'Idempotency-Key'))(
      'When the Idempotency-Key of %s is malformed, then 400',
      async (_, route) => {
        const headers = {
          ...callerFor(route),
          'x-client-network': '192.0.2.1',
          'idempotency-key': 'two words',
        };
        const answer = await call(route.method, pathOf(route), { headers, ...json(route) });
        expect(isHidden(route, answer) || answer.slug === 'invalid-idempotency-key').toBe(true);
      },
    );
  });
}

/** The members that `errors` names, without repetitions. */
const fieldsOf = ({ body }: Answer) => [...new Set(body.errors?.map(({ field }) => field.split('.')[0]))];
