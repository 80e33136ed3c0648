import type { z } from 'zod';
import type { DataSchemas, PublishedEvents, TypedEvents } from './published-events.ts';

/** What a service offers, described once: routes at the gateway, OpenAPI documents and the typed client follow from it. */
export type ServiceApi = Readonly<Record<Address, Operation>>;

/** Method and path, as Express has it: `GET /api/orders/:id`. */
export type Address = `${Method} /${string}`;

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * `public`: everyone; `customer`: everyone with an access token, and whose things these are is for the service to judge;
 * `admin`: administrators; `internal`: other services and sidecars, the gateway has no such address.
 */
export type Access = 'public' | 'customer' | 'admin' | 'internal';

export interface Operation {
  access: Access;
  /** A few words in the imperative: `Place an order`. */
  summary: string;
  /** Sentences for what the summary leaves out. */
  description?: string;
  /** The variables of the path. What does not match them does not exist: 404. */
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** The status of success; 200 where none is named. */
  status?: 200 | 201 | 202 | 204;
  /** The body of a success; none: there is no body. */
  answer?: z.ZodType;
  /** The answer's media type; `application/json` where none is named. */
  mediaType?: 'application/json' | 'text/event-stream';
  /**
   * How often a caller may ask: `auth` for what is worth guessing at; `none` for probes. Without it everyone with a token
   * has the limit of the API, all others the default one.
   */
  limit?: 'auth' | 'none';
  /** Statuses of failures whose body is no problem document. */
  failures?: Readonly<Record<number, z.ZodType>>;
  /** Takes an `Idempotency-Key`. */
  idempotent?: true;
  /** Answers 204 where there is nothing to tell. */
  mayBeEmpty?: true;
  /** Answers 201 where it made what it answers. */
  creates?: true;
  /** Has an `ETag`: a GET answers 304 to `If-None-Match`, a PUT 412 to an `If-Match` that is out of date. */
  tagged?: true;
  /** More request headers, and what they do. */
  headers?: Readonly<Record<string, { description: string; pattern: string }>>;
  /** What can go wrong beside what follows from the rest, by the last part of the problem's type. */
  problems?: Readonly<Record<string, PossibleProblem>>;
  /** Bodies to try, by what they show. */
  examples?: Readonly<Record<string, unknown>>;
  /** What is answered to the first of them. */
  answered?: unknown;
}

export interface PossibleProblem {
  status: number;
  /** A sentence. */
  when: string;
}

/** The events that a service publishes, and what its documents say about each. */
export interface DescribedEvents {
  published: PublishedEvents;
  descriptions: Readonly<Record<string, EventDescription>>;
}

interface EventDescription<Data = unknown> {
  summary: string;
  /** Of the data. */
  example: Data;
}

/** Describes every event that a contract declares. */
export function describeEvents<Data extends DataSchemas>(
  published: TypedEvents<Data>,
  descriptions: { readonly [Type in keyof Data & string]: EventDescription<z.input<Data[Type]>> },
): DescribedEvents {
  return { published, descriptions };
}

/** Events of another service's contract that a service subscribes to. */
export interface SubscribedEvents {
  published: PublishedEvents;
  types: readonly string[];
}

/** Names events of a contract as those that a service subscribes to. */
export function subscribedTo<Data extends DataSchemas>(
  published: TypedEvents<Data>,
  ...types: readonly (keyof Data & string)[]
): SubscribedEvents {
  return { published, types };
}

/** A service as its documents describe it, and what it needs of others: `services/access.ts` puts that into one table. */
export interface ServiceDescription {
  /** The app id. */
  name: string;
  summary: string;
  api: ServiceApi;
  events: readonly DescribedEvents[];
  /** The addresses of other services that it calls, by their app ids. The gateway also forwards its routes. */
  calls: Readonly<Record<string, readonly Address[]>>;
  subscribes: readonly SubscribedEvents[];
  /** What it uses of its sidecar beside calls and events, as Dapr names its APIs. */
  uses: readonly ('state' | 'jobs' | 'bindings')[];
  /** It subscribes to the dead letters, and may publish each event of the broker again. */
  keepsDeadLetters?: true;
  /** The schemas that have a name in the documents; all others stand where they are used. */
  schemas: Readonly<Record<string, z.ZodType>>;
}

/** The method and the path of an address. */
export function parted(address: string): { method: Method; path: string } {
  const [method, path] = address.split(' ') as [Method, string];
  return { method, path };
}

/** Ids that the examples of all services share, so that they read as one story. */
export const EXAMPLE = {
  order: '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11',
  customer: '01940f8a-11d2-7a54-8c0e-6f1b2d3c4e5f',
  payment: '01940f8e-62aa-7b10-a3c5-91d2e4f60718',
  deadLetter: '4f1c2a9be07d5836a1c4e8f02b6d9370',
  product: 'mug-blue',
  tracking: 'SC01940F8E5B1C',
} as const;
