import { z } from 'zod';
import { customerTotalsSchema, deadLetterListSchema, deadLetterSchema } from '../history/contract.ts';
import { productListSchema, productSchema } from '../inventory/contract.ts';
import { orderAcceptedSchema, orderListSchema, orderSchema } from '../orders/contract.ts';
import { ledgerSchema, paymentListSchema, paymentSchema } from '../payments/contract.ts';
import { problemSchema } from '../shared/problem.ts';
import { tokenSchema, userListSchema, userSchema } from '../users/contract.ts';
import type { Route } from './routes.ts';

/** The schemas that have a name in the description; all others stand where they are used. */
const NAMED: Record<string, z.ZodType> = {
  Order: orderSchema,
  OrderAccepted: orderAcceptedSchema,
  OrderList: orderListSchema,
  Product: productSchema,
  ProductList: productListSchema,
  Payment: paymentSchema,
  PaymentList: paymentListSchema,
  Ledger: ledgerSchema,
  User: userSchema,
  UserList: userListSchema,
  Token: tokenSchema,
  CustomerTotals: customerTotalsSchema,
  DeadLetter: deadLetterSchema,
  DeadLetterList: deadLetterListSchema,
  Problem: problemSchema,
};

type Json = Record<string, unknown>;

const PROBLEM = { $ref: '#/components/responses/Problem' };

/** The routes as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1.html). */
export function openApi(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Sidecart', version: '1', description: 'Orders, stock, payments and accounts of a shop.' },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: namedSchemas(),
      responses: {
        Problem: {
          description: 'Why it did not work (RFC 9457)',
          content: { 'application/problem+json': { schema: reference('Problem') } },
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function operation({
  service,
  access,
  summary,
  path,
  query,
  headers,
  body,
  status = 200,
  answer,
}: Route): Json {
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name]) => parameter('path', name, true, { type: 'string' })),
    ...(query ? queryParameters(query) : []),
    ...Object.entries(headers ?? {}).map(([name, description]) => ({
      ...parameter('header', name, false, { type: 'string' }),
      description,
    })),
  ];
  return {
    tags: [service],
    summary: access === 'admin' ? `${summary} (administrators)` : summary,
    ...(access === 'public' ? {} : { security: [{ token: [] }] }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: json(toSchema(body, 'input')),
          },
        }
      : {}),
    responses: {
      [status]: { description: 'Done', ...(answer ? { content: json(answerSchema(answer)) } : {}) },
      default: PROBLEM,
    },
  };
}

const json = (schema: Json) => ({ 'application/json': { schema } });
const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });

function parameter(place: string, name: string | undefined, required: boolean, schema: unknown): Json {
  return { name, in: place, required, schema };
}

function queryParameters(query: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = toSchema(query, 'input') as {
    properties?: Json;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) =>
    parameter('query', name, required.includes(name), schema),
  );
}

function answerSchema(schema: z.ZodType): Json {
  const name = Object.keys(NAMED).find((key) => NAMED[key] === schema);
  return name ? reference(name) : toSchema(schema, 'output');
}

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  return bare(z.toJSONSchema(schema, { io }));
}

function namedSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => reference(id).$ref });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)]));
}

/** A part of the document names neither its dialect nor itself. */
function bare(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== '$schema' && name !== '$id'));
}
