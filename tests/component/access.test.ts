import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readComponents } from '../../deploy/local/configuration/component-files.ts';
import { ACCESS, type Access } from '../../services/access.ts';
import { SERVICES } from '../../services/services.ts';
import { redrivable } from '../../services/history/domain/dead-letter.ts';
import { APPS, routesServedBy } from '../support/apps.ts';
import { buildEvent } from '../support/events.ts';
import { grantDifferences, appTimeouts } from '../support/component-grants.ts';

/** Compares the table in services/access.ts with the code and the component files. They have to agree exactly. */

const NAMES = ACCESS.map(({ app }) => app);
const accessOf = (app: string) => ACCESS.find((one) => one.app === app)!;
const addressOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

/** The routes of every service: `shared/runtime/service-app.ts`. */
const BY_EVERY_SERVICE = new Set([
  'GET /healthz',
  'GET /readyz',
  'GET /metrics',
  'GET /openapi.json',
  'GET /asyncapi.json',
  'GET /dapr/subscribe',
]);

describe('the table', () => {
  it('When the services are counted, then the table has each of them', () => {
    expect(NAMES.toSorted()).toEqual(Object.keys(APPS).toSorted());
  });

  it('When a service calls another one, then that one serves the address', () => {
    const unknown = ACCESS.flatMap(({ app, calls }) =>
      calls
        .filter(({ service, ...call }) => {
          const api = SERVICES.find(({ name }) => name === service)?.api ?? {};
          return ![...Object.keys(api), 'GET /readyz'].includes(addressOf(call));
        })
        .map((call) => `${app} -> ${call.service} ${addressOf(call)}`),
    );
    expect(unknown).toEqual([]);
  });

  it('When a service subscribes to its own events, then a decision record explains it', () => {
    const own = SERVICES.flatMap(({ name, subscribes }) =>
      subscribes
        .filter(({ published }) => published.source === name)
        .flatMap(({ types }) => types.map((type) => `${name} ${type}`)),
    );
    // services/decisions/0031-refunds.md
    expect(own).toEqual(['payments refund.requested']);
  });

  it('When an address is internal, then a service calls it', () => {
    const called = new Set(
      ACCESS.flatMap(({ calls }) => calls.map((one) => `${one.service} ${addressOf(one)}`)),
    );
    const internal = SERVICES.flatMap(({ name, api }) =>
      Object.entries(api)
        .filter(([, { access }]) => access === 'internal')
        .map(([address]) => `${name} ${address}`),
    );
    expect(internal.filter((address) => !called.has(address))).toEqual([]);
  });

  it('When a service describes its events, then it is their source', () => {
    for (const { name, events } of SERVICES)
      expect(events.map(({ published }) => published.source)).toEqual(events.map(() => name));
  });

  it('When a service subscribes to an event, then a service publishes it', () => {
    const published = new Set(SERVICES.flatMap(({ events }) => events.map((one) => one.published)));
    const unknown = SERVICES.flatMap(({ subscribes }) =>
      subscribes.filter((one) => !published.has(one.published)),
    );
    expect(unknown).toEqual([]);
  });

  it('When history may publish an event, then history can redrive its dead letters', () => {
    const { publishes } = accessOf('history');
    const all = new Set(ACCESS.flatMap((one) => one.publishes).map(({ name }) => name));
    const redriven = [...all].filter(
      (type) =>
        type !== 'dead-letters' &&
        redrivable({
          dead_letter_id: '',
          type,
          event_id: '',
          received_at: '',
          redriven: 0,
          event: buildEvent(type, {}),
        }),
    );
    expect(redriven.toSorted()).toEqual(
      publishes
        .map(({ name }) => name)
        .filter((name) => name !== 'dead-letters')
        .toSorted(),
    );
  });
});

describe.each(NAMES)('the code of %s', (name) => {
  const access = accessOf(name);
  const description = SERVICES.find((one) => one.name === name)!;
  const sources = filesOf(name).map((file) => readFileSync(file, 'utf8'));
  const text = sources.join('\n');
  let served: string[];

  beforeAll(async () => {
    served = await routesServedBy(name);
  });

  it('When it serves a route, then its api.ts describes the route, and vice versa', () => {
    const routes = served.filter(
      (address) => !BY_EVERY_SERVICE.has(address) && !/^POST \/(events|job)\/|^GET \/docs/.test(address),
    );
    const described = SERVICES.flatMap(({ name: service, api }) =>
      Object.entries(api)
        // The gateway has the public ones of all.
        .filter(([, { access: who }]) => service === name || (name === 'gateway' && who !== 'internal'))
        .map(([address]) => address),
    ).filter((address) => !BY_EVERY_SERVICE.has(address));
    expect(routes.toSorted()).toEqual(described.toSorted());
  });

  it('When it handles an event, then it subscribes to the event, and vice versa', () => {
    const handled = served.flatMap((address) => /^POST \/events\/(.+)$/.exec(address)?.[1] ?? []);
    expect(handled.toSorted()).toEqual(access.subscribes.map(({ name: topic }) => topic).toSorted());
  });

  it('When it handles jobs, then it schedules jobs, and vice versa', () => {
    expect(served.some((address) => address.startsWith('POST /job/'))).toBe(access.apis.includes('jobs'));
  });

  it('When it uses its sidecar, then only as the table allows', () => {
    const used = {
      invoke: /sidecar\.invoke\(/,
      publish: /createEventPublisher\(|sidecar\.publish\(/,
      state: /sidecar\.state\b|\{[^}]*\bstate\b[^}]*\} = sidecar/,
      jobs: /\bsidecar\s*\.(scheduleJob|deleteJob)\(|createSweeper\(/,
      bindings: /sidecar\.invokeBinding\(/,
      configuration: /(run|prepare)Service\(/,
      workflows: /new WorkflowRuntime\(/,
    };
    const found = Object.entries(used).filter(([, pattern]) => pattern.test(text));
    expect(found.map(([api]) => api).toSorted()).toEqual(access.apis.toSorted());
  });

  it('When it builds an event, then its own contract has the event, and vice versa', async () => {
    const built = new Set(
      [...text.matchAll(/createEventPublisher\(sidecar, (\w+)/g)].map(([, events = '']) => events),
    );
    const contract = (built.size > 0 ? await import(`../../services/${name}/contract.ts`) : {}) as Record<
      string,
      unknown
    >;
    expect(new Set([...built].map((events) => contract[events]))).toEqual(
      new Set(description.events.map(({ published }) => published)),
    );
  });

  it('When it calls an address, then the table has the call, and vice versa', () => {
    const found = sources.flatMap((source) => callsIn(source, access));
    expect(found.filter((call) => call.includes(UNKNOWN))).toEqual([]);
    const declared = Object.entries(description.calls).flatMap(([service, addresses]) =>
      addresses.map((address) => `${service} ${address}`),
    );
    // The gateway also calls some of the routes that it forwards.
    const isForwarded = (call: string) => name === 'gateway' && !declared.includes(call);
    expect(new Set(found.filter((call) => !isForwarded(call)))).toEqual(new Set(declared));
  });
});

describe('the code of all services', () => {
  it('When a call does not name the other service, then it is one that the gateway makes to all services', () => {
    const files = NAMES.flatMap((service) =>
      filesOf(service).filter((file) => /sidecar\.invoke\((?!')/.test(readFileSync(file, 'utf8'))),
    );
    expect(files.toSorted()).toEqual([
      'services/gateway/http/health.ts',
      'services/gateway/invoke-with-retry.ts',
    ]);
  });
});

function filesOf(service: string): string[] {
  return readdirSync(join('services', service), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('services', service, file));
}

const UNKNOWN = 'not in the table:';

/**
 * The calls that a file spells out, as those of the table that have the app, a path and a verb of it. A path or a verb for which
 * the table has none is unknown.
 */
function callsIn(source: string, { calls }: Access): string[] {
  const services = new Set(
    [...source.matchAll(/(?:sidecar\.invoke\(|invokeWithRetry\(sidecar, )'([^']+)'/g)].map(
      ([, service]) => service!,
    ),
  );
  if (services.size === 0) return [];
  expect([...services]).toHaveLength(1);
  const [service] = services;
  const paths = new Set([...source.matchAll(/['`](\/[a-z.][^'`]*)['`]/g)].map(([, path]) => shapeOf(path!)));
  const verbs = new Set([...source.matchAll(/'(GET|POST|PUT|DELETE)'/g)].map(([, verb]) => verb!));
  const known = calls.filter(
    (call) => call.service === service && paths.has(shapeOf(call.path)) && verbs.has(call.method),
  );
  return [
    ...known.map((call) => `${service} ${addressOf(call)}`),
    ...[...paths]
      .filter((path) => !known.some((call) => shapeOf(call.path) === path))
      .map((path) => `${UNKNOWN} ${service} ${path}`),
    ...[...verbs]
      .filter((verb) => !known.some(({ method }) => method === verb))
      .map((verb) => `${UNKNOWN} ${service} ${verb}`),
  ];
}

/** A path without its query, and with `:` for each variable of Express or of a template. */
function shapeOf(path: string): string {
  return path.replace(/\?.*/, '').replaceAll(/\$\{[^}]*\}|:\w+/g, ':');
}

describe('the component files', () => {
  const committed = readComponents();

  it('When they are compared with the table, then they grant exactly its permissions', () => {
    expect(grantDifferences(committed, ACCESS)).toEqual([]);
  });

  it.each<[what: string, file: string, from: string | RegExp, to: string, differences: string[]]>([
    [
      'an app has no entry in the publishing scopes',
      'pubsub.yaml',
      'notifications=dead-letters;',
      '',
      [
        'too much: notifications publishes payment.processed on pubsub',
        'too much: notifications publishes any-other-topic on pubsub',
      ],
    ],
    [
      'an app has no entry in the subscription scopes',
      'pubsub.yaml',
      'users=none;',
      '',
      ['too much: users subscribes to order.created on pubsub'],
    ],
    [
      'there are no publishing scopes',
      'broadcast.yaml',
      'publishingScopes',
      'scopes',
      [
        'too much: gateway publishes orders.changed on broadcast',
        'too much: orders publishes any-other-topic on broadcast',
      ],
    ],
    [
      'a topic is missing',
      'pubsub.yaml',
      'payment.failed,payment.refunded,refund.requested,dead-letters;',
      'payment.failed,refund.requested,dead-letters;',
      ['too little: payments publishes payment.refunded on pubsub'],
    ],
    [
      'there is a topic too many',
      'pubsub.yaml',
      'fulfilment=order.paid,',
      'fulfilment=order.paid,payment.requested,',
      ['too much: fulfilment subscribes to payment.requested on pubsub'],
    ],
    [
      'a stranger is named',
      'pubsub.yaml',
      'users=none;',
      'users=none;gateway=order.paid;',
      ['too much: gateway has topics of pubsub, but not the component'],
    ],
    [
      'a component is for everyone',
      'state.yaml',
      /^scopes:.*\n/m,
      '',
      ['too much: gateway has the component statestore'],
    ],
    [
      'a component is for one more',
      'secrets.yaml',
      'scopes: [notifications]',
      'scopes: [notifications, users]',
      ['too much: users has the component secretstore'],
    ],
    [
      'a component is for one less',
      'state.yaml',
      'payments, ',
      '',
      ['too little: payments has the component statestore'],
    ],
    [
      'secrets may be read',
      'configuration.yaml',
      'defaultAccess: deny',
      'defaultAccess: allow',
      ['too much: every app that has the component secretstore reads its secrets'],
    ],
    [
      'a subscription is for everyone',
      'subscriptions/fulfilment.yaml',
      'scopes: [fulfilment]\n',
      '',
      [
        'too much: users receives order.paid of pubsub at /events/order.paid, and its dead letters go to dead-letters',
      ],
    ],
    [
      'a subscription has no dead letter topic',
      'subscriptions/fulfilment.yaml',
      '  deadLetterTopic: dead-letters\n',
      '',
      [
        'too much: fulfilment receives order.paid of pubsub at /events/order.paid, and its dead letters go to no topic',
        'too little: fulfilment receives order.paid of pubsub at /events/order.paid, and its dead letters go to dead-letters',
      ],
    ],
  ])('When %s, then the comparison finds it', (_what, file, from, to, expected) => {
    const text = committed.get(file)!;
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(grantDifferences(new Map([...committed, [file, changed]]), ACCESS)).toEqual(
      expect.arrayContaining(expected),
    );
  });

  // Without one, daprd waits for an unreachable replica as long as the caller does.
  it('When policies are compared with the table, then exactly the calls between services have a timeout', () => {
    const called = new Set(
      ACCESS.flatMap(({ app, calls }) => calls.map(({ service }) => `${app} -> ${service}`)),
    );
    expect(appTimeouts(committed).toSorted()).toEqual([...called].toSorted());
  });
});
