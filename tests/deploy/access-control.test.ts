import { describe, expect, it } from 'vitest';
import {
  accessControlOf,
  apiAllowListOf,
  type AccessControl,
} from '../../deploy/kubernetes/access-control.ts';
import { ACCESS, type Access } from '../../services/access.ts';
import { parseRouteKey } from '../../services/shared/api-docs/route-table.ts';
import { routesServedBy } from '../support/apps.ts';
import { isOffered, mayCall } from '../support/daprd-access-control.ts';

const IDENTITY = { namespace: 'shop', trustDomain: 'public' };
const NAMES = ACCESS.map(({ app }) => app);
const ID = '01940F8E-5b1c-7c3e-9d41-2b8a6e0f4c11';
const filledIn = (path: string) => path.replaceAll(/:\w+/g, ID);

/** A table with only these calls of `caller` to `callee`. */
function tableOf(...addresses: string[]): Access[] {
  const calls = addresses.map((address) => ({ service: 'callee', ...parseRouteKey(address) }));
  const nothing = { publishes: [], subscribes: [], apis: [], calls: [] };
  return [
    { app: 'caller', ...nothing, calls },
    { app: 'callee', ...nothing },
  ];
}

describe('access control', () => {
  it('When apps call fulfilment, then the spec has them with their methods and paths', () => {
    expect(accessControlOf(ACCESS, 'fulfilment', IDENTITY)).toEqual({
      defaultAction: 'deny',
      trustDomain: 'public',
      policies: [
        {
          appId: 'gateway',
          defaultAction: 'deny',
          trustDomain: 'public',
          namespace: 'shop',
          operations: [{ name: '/readyz', httpVerb: ['GET'], action: 'allow' }],
        },
        {
          appId: 'orders',
          defaultAction: 'deny',
          trustDomain: 'public',
          namespace: 'shop',
          operations: [
            { name: '/shipments/**/reason', httpVerb: ['DELETE'], action: 'allow' },
            { name: '/shipments/**/stop', httpVerb: ['POST'], action: 'allow' },
          ],
        },
      ],
    });
  });

  it('When no app calls an app, then every call is denied', () => {
    expect(accessControlOf(ACCESS, 'gateway', IDENTITY)).toEqual({
      defaultAction: 'deny',
      trustDomain: 'public',
      policies: [],
    });
  });

  it.each<[what: string, addresses: string[], names: string[]]>([
    ['a path', ['GET /products'], ['/products GET']],
    ['two verbs of a path', ['POST /products', 'GET /products'], ['/products GET POST']],
    ['a variable at the end', ['GET /users/:id'], ['/users/**/* GET']],
    ['a variable in the middle', ['GET /orders/:id/changes'], ['/orders/**/changes GET']],
    ['a path and a variable after it', ['GET /users', 'PUT /users/:id'], ['/users/* GET PUT']],
    [
      'a path that another one continues',
      ['GET /orders', 'DELETE /orders/:order_id/reason'],
      ['/orders/* GET', '/orders/**/reason DELETE'],
    ],
    [
      'words beside a variable',
      ['GET /users', 'GET /users/:id', 'POST /users/login', 'GET /users/:user_id/orders/:id'],
      ['/users/login POST', '/users/* GET', '/users/**/orders/**/* GET'],
    ],
  ])('When an app calls %s, then daprd matches the names of the spec', (_what, addresses, names) => {
    const [policy] = accessControlOf(tableOf(...addresses), 'callee', IDENTITY).policies;
    expect(policy!.operations.map(({ name, httpVerb }) => [name, ...httpVerb].join(' '))).toEqual(names);
  });

  it.each(NAMES)('When an app calls %s, then exactly the calls of the table are allowed', async (callee) => {
    const spec = accessControlOf(ACCESS, callee, IDENTITY);
    const addresses = [...new Set([...(await routesServedBy(callee)), 'GET /readyz'])];
    const allowed = NAMES.filter((caller) => caller !== callee).flatMap((caller) =>
      addresses
        .map(parseRouteKey)
        .filter(({ method, path }) => mayCall(spec, caller, method, filledIn(path)))
        .map(({ method, path }) => `${caller} ${method} ${path}`),
    );
    const called = ACCESS.flatMap(({ app, calls }) =>
      calls.filter(({ service }) => service === callee).map(({ method, path }) => `${app} ${method} ${path}`),
    );
    expect(allowed.toSorted()).toEqual(called.toSorted());
  });

  it.each<[what: string, caller: string, verb: string, path: string, expected: boolean]>([
    ['the address is called', 'caller', 'GET', `/orders/${ID}/changes`, true],
    ['the case differs', 'caller', 'GET', `/Orders/${ID}/Changes`, true],
    ['the caller is another one', 'other', 'GET', `/orders/${ID}/changes`, false],
    ['the verb is another one', 'caller', 'DELETE', `/orders/${ID}/changes`, false],
    ['the path is shorter', 'caller', 'GET', '/orders', false],
    ['a segment is missing', 'caller', 'GET', '/orders/changes', false],
    ['a segment is too many', 'caller', 'GET', `/orders/${ID}/${ID}/changes`, false],
    ['the last segment is another one', 'caller', 'GET', `/orders/${ID}/reason`, false],
  ])(
    'When %s, then daprd allows the call only if it is in the table',
    (_what, caller, verb, path, expected) => {
      const spec = accessControlOf(tableOf('GET /orders/:id/changes'), 'callee', IDENTITY);
      expect(mayCall(spec, caller, verb, path)).toBe(expected);
    },
  );

  // These show why the names differ from the paths.
  it.each<[name: string, path: string, expected: boolean]>([
    ['/orders', '/orders/1/changes', true],
    ['/orders/*/changes', '/orders/1/changes', false],
    ['/orders/**/changes', '/orders/1/changes', true],
    ['/orders/*', '/orders', true],
    ['/orders/**', '/orders/1/changes', true],
    ['/orders/**/*', '/orders', false],
    ['/orders/**/*', '/orders/1', true],
  ])('When the name is %s, then daprd allows %s: %s', (name, path, expected) => {
    const [policy] = accessControlOf(tableOf('GET /anything'), 'callee', IDENTITY).policies;
    const spec: AccessControl = {
      ...accessControlOf([], 'callee', IDENTITY),
      policies: [{ ...policy!, operations: [{ name, httpVerb: ['GET'], action: 'allow' }] }],
    };
    expect(mayCall(spec, 'caller', 'GET', path)).toBe(expected);
  });
});

/** Every API group of daprd 1.18.2: pkg/api/http/endpoints/endpointgroup.go and pkg/api/grpc/endpoints.go. */
const GROUPS = [
  'actors',
  'bindings',
  'configuration',
  'conversation',
  'crypto',
  'invoke',
  'jobs',
  'lock',
  'metadata',
  'publish',
  'secrets',
  'shutdown',
  'state',
  'subscribe',
  'subtlecrypto',
  'unlock',
  'workflows',
];
const APIS = GROUPS.flatMap((group) =>
  ['v1', 'v1alpha1', 'v1alpha2', 'v1beta1'].map((version) => `${version}/${group}`),
);

describe('API allow lists', () => {
  const EVERYWHERE = ['v1/configuration'];
  const OFFERED: Record<string, string[]> = {
    gateway: [...EVERYWHERE, 'v1/invoke'],
    users: [...EVERYWHERE, 'v1/publish', 'v1alpha1/publish', 'v1/state', 'v1/jobs'],
    inventory: [...EVERYWHERE, 'v1/publish', 'v1alpha1/publish', 'v1/state'],
    orders: [...EVERYWHERE, 'v1/invoke', 'v1/publish', 'v1alpha1/publish', 'v1/state', 'v1/jobs'],
    payments: [...EVERYWHERE, 'v1/invoke', 'v1/publish', 'v1alpha1/publish', 'v1/state'],
    fulfilment: [...EVERYWHERE, 'v1/publish', 'v1alpha1/publish', 'v1/state', 'v1/jobs'],
    notifications: [...EVERYWHERE, 'v1/state', 'v1/bindings'],
    returns: [...EVERYWHERE, 'v1/invoke', 'v1/publish', 'v1alpha1/publish', 'v1/state', 'v1/metadata'],
    history: [...EVERYWHERE, 'v1/invoke', 'v1/publish', 'v1alpha1/publish', 'v1/state', 'v1/jobs'],
  };

  it.each([...NAMES, 'a stranger'])(
    'When the list of %s is applied, then its sidecar offers the APIs that it uses',
    (app) => {
      const rules = apiAllowListOf(ACCESS, app);
      const offered = APIS.filter((api) => isOffered(rules, 'http', api));
      expect(offered.toSorted()).toEqual((OFFERED[app] ?? []).toSorted());
      expect(isOffered(rules, 'http', 'v1/healthz')).toBe(true);
      expect(APIS.filter((api) => isOffered(rules, 'grpc', api))).toEqual(['v1alpha1/unlock']);
    },
  );

  it('When a list has no rule for a protocol, then that protocol is open', () => {
    const rules = apiAllowListOf(ACCESS, 'users').filter(({ protocol }) => protocol === 'http');
    expect(APIS.filter((api) => isOffered(rules, 'grpc', api))).toEqual(APIS);
  });
});
