import { routes } from './gateway/routes.ts';
import { SERVICES } from './services.ts';
import { liveVariablesOf } from './shared/api-docs/environment.ts';
import { parseRouteKey, type Method, type ServiceDescription } from './shared/api-docs/route-table.ts';
import type { EventComponent } from './shared/schemas/published-events.ts';

/**
 * Who may do what: all that the services may call, publish, subscribe to and use of their sidecars follows from their
 * `api.ts`. No service reads this table. Access control, API allow lists and scopes are made of it or compared with it
 * (services/decisions/0070-one-table-of-access.md).
 */

/** A call of another service. The path has variables as Express has them: `/orders/:id`. */
export interface Call {
  service: string;
  method: Method;
  path: string;
}

export interface Topic {
  component: EventComponent;
  name: string;
}

/** What one app may do. Everything else is denied. */
export interface Access {
  app: string;
  calls: readonly Call[];
  /** With the topics to which its sidecar publishes by itself: the dead letters. */
  publishes: readonly Topic[];
  subscribes: readonly Topic[];
  /** The APIs of its sidecar that the app calls, by Dapr's names. */
  apis: readonly SidecarApi[];
}

export type SidecarApi = 'invoke' | 'publish' | 'configuration' | ServiceDescription['uses'][number];

/** Where the sidecar of a subscriber publishes what the subscriber could not process. */
export const DEAD_LETTERS: Topic = { component: 'pubsub', name: 'dead-letters' };

export const ACCESS: readonly Access[] = SERVICES.map(accessOf);

function accessOf(description: ServiceDescription): Access {
  const { name: app, subscribes, uses, config, keepsDeadLetters } = description;
  const calls = callsOf(description);
  const published = [...ownTopics(description), ...(keepsDeadLetters ? brokerTopics() : [])];
  const received = subscribes.flatMap(({ published: { component }, types }) =>
    types.map((name): Topic => ({ component, name })),
  );
  const hasDeadLetters = received.some(({ component }) => component === DEAD_LETTERS.component);
  return {
    app,
    calls,
    publishes: [...published, ...(hasDeadLetters ? [DEAD_LETTERS] : [])],
    subscribes: [...received, ...(keepsDeadLetters ? [DEAD_LETTERS] : [])],
    apis: [
      ...(calls.length > 0 ? (['invoke'] as const) : []),
      ...(published.length > 0 ? (['publish'] as const) : []),
      ...uses,
      ...(liveVariablesOf(config).length > 0 ? (['configuration'] as const) : []),
    ],
  };
}

/** The gateway also forwards the routes of all services, and asks each of them whether it is ready. */
function callsOf({ name, calls }: ServiceDescription): Call[] {
  const own = Object.entries(calls).flatMap(([service, addresses]) =>
    addresses.map((address): Call => ({ service, ...parseRouteKey(address) })),
  );
  if (name !== 'gateway') return own;
  const forwarded = routes
    .filter(({ service }) => service !== name)
    .map(({ service, method, path }): Call => ({ service, method, path }));
  const probed = SERVICES.filter((one) => one.name !== name).map(({ name: service }): Call => ({
    service,
    method: 'GET',
    path: '/readyz',
  }));
  return [...own, ...forwarded, ...probed];
}

function ownTopics({ events }: ServiceDescription): Topic[] {
  return events.flatMap(({ published: { component, types } }) => types.map((name) => ({ component, name })));
}

/** What history may publish again. A broadcast has no dead letters. */
function brokerTopics(): Topic[] {
  return SERVICES.flatMap(ownTopics).filter(({ component }) => component === DEAD_LETTERS.component);
}
