import { z } from 'zod';
import type { Operation } from './route-table.ts';
import type { Json } from './openapi-problems.ts';

/** An operation of a document. */
export interface Described {
  id: string;
  /** In the syntax of Express. */
  path: string;
  operation: Operation;
}

/**
 * Generates the links (https://spec.openapis.org/oas/v3.1.1.html#link-object) of a successful response. Each id in the
 * response links to the operations that require it in their path or query. A cursor links to the next page. Ids of the
 * request have no links.
 */
export function linksOf(source: Described, all: readonly Described[]): Json {
  const { response, query } = source.operation;
  const places = response ? placesOf(response) : new Map<string, string>();
  const sent = Object.values(idsTakenBy(source));
  const links: Json = {};
  for (const target of all)
    for (const [parameter, field] of Object.entries(idsTakenBy(target))) {
      const place = places.get(field);
      if (place && !sent.includes(field)) links[target.id] = linkTo(target.id, parameter, place);
    }
  const next = places.get('next_cursor');
  if (next && query?.shape['cursor']) links['next'] = linkTo(source.id, 'cursor', next);
  return links;
}

const linkTo = (operationId: string, parameter: string, place: string): Json => ({
  operationId,
  parameters: { [parameter]: `$response.body#${place}` },
});

/**
 * Maps the id parameters of an operation to the field names of responses. `id` in `/api/orders/:id` maps to `order_id`; an
 * `order_id` in a path or query maps to itself.
 */
function idsTakenBy({ path, operation: { query } }: Described): Record<string, string> {
  const taken: Record<string, string> = {};
  for (const [, noun = '', variable = ''] of path.matchAll(/([\w-]+)\/:(\w+)/g))
    taken[variable] = variable === 'id' ? `${noun.replace(/s$/, '').replaceAll('-', '_')}_id` : variable;
  const { required = [] } = (query ? z.toJSONSchema(query, { io: 'input' }) : {}) as { required?: string[] };
  for (const name of required.filter((one) => one.endsWith('_id'))) taken[name] = name;
  return taken;
}

/** JSON pointers (RFC 6901) of the fields of a response, or of the first item in its list. */
function placesOf(answer: z.ZodType): Map<string, string> {
  if (!(answer instanceof z.ZodObject)) return new Map();
  const { items, ...fields } = answer.shape as Record<string, z.ZodType>;
  const item = items instanceof z.ZodArray ? items.element : undefined;
  return new Map([
    ...Object.keys(item instanceof z.ZodObject ? item.shape : {}).map(
      (name) => [name, `/items/0/${name}`] as const,
    ),
    ...Object.keys(fields).map((name) => [name, `/${name}`] as const),
  ]);
}
