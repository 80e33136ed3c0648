import type { z } from 'zod';
import type { DataSchemas, PublishedEvents, TypedEvents } from '../schemas/published-events.ts';
import type { MetricDeclarations } from '../telemetry/metrics.ts';

/** The routes of a service. The routes of the gateway, the OpenAPI documents and the typed client are derived from this table. */
export type ServiceApi = Readonly<Record<RouteKey, Operation>>;

/** Method and path in the syntax of Express: `GET /api/orders/:id`. */
export type RouteKey = `${Method} /${string}`;

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * Who may call a route. `public`: everyone. `customer`: every caller with an access token; the service checks the owner.
 * `admin`: administrators. `internal`: other services and sidecars; the gateway does not offer these routes.
 */
export type Access = 'public' | 'customer' | 'admin' | 'internal';

export interface Operation {
  access: Access;
  /** A few words in the imperative: `Place an order`. */
  summary: string;
  /** Sentences for what the summary leaves out. */
  description?: string;
  /** The variables of the path. A path that does not match them gets 404. */
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** The status of a success. The default is 200. */
  status?: 200 | 201 | 202 | 204;
  /** The body of a success. Without a schema, the response has no body. */
  response?: z.ZodType;
  /** The media type of a success. The default is `application/json`. */
  mediaType?: 'application/json' | 'text/event-stream';
  /**
   * The rate limit of the route: `auth` for routes that attackers could use to guess secrets, `none` for probes. By default,
   * callers with a token have the limit of the API, and all others have the default limit.
   */
  rateLimit?: 'auth' | 'none';
  /** Statuses of failures whose body is not a problem document. */
  errorResponses?: Readonly<Record<number, z.ZodType>>;
  /** The route accepts an `Idempotency-Key`. */
  idempotent?: true;
  /** What the stored response of an `Idempotency-Key` depends on: the name of the operation, and the members of the request. */
  operation?: { name: string; request: readonly string[] };
  /** The route answers 204 if it has no content. */
  mayBeEmpty?: true;
  /** The route answers 201 if it created the resource. */
  creates?: true;
  /** The resource has an `ETag`: a GET evaluates `If-None-Match` (304), a PUT evaluates `If-Match` (412). */
  etag?: true;
  /** Further request headers. */
  headers?: Readonly<Record<string, { description: string; pattern: string }>>;
  /** Problems of this route by their slugs, in addition to those that `problemsOf` derives. */
  problems?: Readonly<Record<string, PossibleProblem>>;
  /** Example request bodies by their titles. */
  examples?: Readonly<Record<string, unknown>>;
  /** The response to the first example. */
  responseExample?: unknown;
}

export interface PossibleProblem {
  status: number;
  /** A sentence. */
  description: string;
}

/** The events that a service publishes, with the texts of its documents. */
export interface DescribedEvents {
  published: PublishedEvents;
  descriptions: Readonly<Record<string, EventDescription>>;
}

export interface EventDescription<Data = unknown> {
  summary: string;
  /** How `id`, `subject` and `time` of the event follow from stored documents. */
  derivation?: { id: string; subject: string; time: string };
  /** An example of the event's data. */
  example: Data;
}

/** Describes every event that a contract declares. */
export function describeEvents<Data extends DataSchemas>(
  published: TypedEvents<Data>,
  descriptions: { readonly [Type in keyof Data & string]: EventDescription<z.input<Data[Type]>> },
): DescribedEvents {
  return { published, descriptions };
}

/** Events of another service that a service subscribes to. */
export interface SubscribedEvents {
  published: PublishedEvents;
  types: readonly string[];
}

/** Documents of one kind in the state store of a service. */
export interface StateDescription {
  description: string;
  /** Every implementation of the service reads and writes this form. */
  schema: z.ZodType;
  /** The documents that are saved in the same transaction. */
  transaction?: string;
  ttlSeconds?: number;
}

/** Declares the events of a contract that a service subscribes to. */
export function subscribedTo<Data extends DataSchemas>(
  published: TypedEvents<Data>,
  ...types: readonly (keyof Data & string)[]
): SubscribedEvents {
  return { published, types };
}

/** A service and the access that it needs. `services/access.ts` collects the access of all services in one table. */
export interface ServiceDescription {
  /** The app id. */
  name: string;
  summary: string;
  api: ServiceApi;
  events: readonly DescribedEvents[];
  /** The routes of other services that this service calls, by app id. The gateway also calls all routes that it forwards. */
  calls: Readonly<Record<string, readonly RouteKey[]>>;
  subscribes: readonly SubscribedEvents[];
  /** The APIs of the sidecar that this service uses besides invocation and publishing, by Dapr's names. */
  uses: readonly ('state' | 'jobs' | 'bindings' | 'workflows')[];
  /** The service subscribes to the dead letters, and may publish every event again. */
  keepsDeadLetters?: true;
  /** The environment variables. Each has a `describe` text, and an example by `setting` of `runtime/settings.ts`. */
  config: z.ZodType;
  /** The metrics of the service besides those of every service. */
  metrics?: MetricDeclarations;
  /** What the service keeps, by the form of the keys in its state store: `order:{order_id}`. Stored responses are left out. */
  state: Readonly<Record<string, string | StateDescription>>;
  /** What the service does with requests and events, as far as the schemas do not express it. Markdown. */
  behaviour?: string;
  /** The timeout of resiliency-gateway.yaml for calls from the gateway: `short` is 3 s. The default is `usual`, 5 s. */
  timeout?: 'short';
  /** The schemas that have a name in the documents. All others are inlined. */
  schemas: Readonly<Record<string, z.ZodType>>;
}

/** The method and the path of an address. */
export function parseRouteKey(address: string): { method: Method; path: string } {
  const [method, path] = address.split(' ') as [Method, string];
  return { method, path };
}

/** Ids that the examples of all services share, so that all examples are about the same order. */
export const EXAMPLE = {
  order: '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11',
  customer: '01940f8a-11d2-7a54-8c0e-6f1b2d3c4e5f',
  payment: '01940f8e-62aa-7b10-a3c5-91d2e4f60718',
  return: '01940f8e-7c21-7d4a-8b1e-5a3c9d20e6f8',
  deadLetter: '4f1c2a9be07d5836a1c4e8f02b6d9370',
  product: 'mug-blue',
  tracking: 'SC01940F8E5B1C',
} as const;
