import { ACCESS, DEAD_LETTERS, type Access, type SidecarApi, type Topic } from '../../services/access.ts';
import type { EventComponent } from '../../services/shared/schemas/published-events.ts';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { HEADER, list, replace, type Edit } from './edit.ts';

/** What components/ has because of the services: subscriptions, scopes in both directions, and timeouts of the gateway. */
export function componentEdits(services: readonly ServiceDescription[]): Edit[] {
  const subscribers = ACCESS.filter(({ subscribes }) => subscribes.length > 0);
  return [
    ...subscribers.map((access): Edit => [
      `components/subscriptions/${access.app}.yaml`,
      () => subscriptions(access),
    ]),
    ['components/pubsub.yaml', (text) => withScopes(text, 'pubsub')],
    ['components/broadcast.yaml', (text) => withScopes(text, 'broadcast')],
    ['components/state.yaml', (text) => scopedTo(text, 'state')],
    ['components/settings.yaml', (text) => scopedTo(text, 'configuration')],
    ['components/workflows.yaml', (text) => scopedTo(text, 'workflows')],
    [
      'components/kustomization.yaml',
      (text) =>
        replace(
          text,
          /( {2}- subscriptions\/.*\n)+/,
          subscribers
            .map(({ app }) => `  - subscriptions/${app}.yaml\n`)
            .toSorted()
            .join(''),
        ),
    ],
    [
      'components/resiliency-gateway.yaml',
      (text) =>
        replace(
          text,
          /( {6}\w+: \{ timeout: \w+ \}\n)+/,
          services
            .filter(({ name }) => name !== 'gateway')
            .map(({ name, timeout = 'usual' }) => `      ${name}: { timeout: ${timeout} }\n`)
            .join(''),
        ),
    ],
  ];
}

/** The scopes of a component: the apps that use this API of their sidecars. */
function scopedTo(text: string, api: SidecarApi): string {
  const apps = ACCESS.filter(({ apis }) => apis.includes(api)).map(({ app }) => app);
  return replace(text, /^scopes:\s+\[[^\]]*\]$/m, `scopes: ${list(apps)}`);
}

/** The declarative subscriptions of an app: https://docs.dapr.io/reference/resource-specs/subscription-schema/. */
function subscriptions({ app, subscribes }: Access): string {
  return HEADER + subscribes.map((topic) => subscription(app, topic)).join('---\n');
}

const subscription = (app: string, { component, name }: Topic) => `apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata:
  name: ${app}-${name.replaceAll(/[._]/g, '-')}
scopes: [${app}]
spec:
  pubsubname: ${component}
  topic: ${name}
${isDeadLetters(name) ? RAW : ''}  routes:
    default: /events/${name}
${component === DEAD_LETTERS.component && !isDeadLetters(name) ? `  deadLetterTopic: ${DEAD_LETTERS.name}\n` : ''}`;

const isDeadLetters = (topic: string) => topic === DEAD_LETTERS.name;

const RAW = `  # Raw: daprd cannot deliver a payload that is no JSON object as an event, and the broker would redeliver it for ever.
  metadata:
    rawPayload: 'true'
`;

/**
 * The scopes of a broker: which apps have it, and what each may publish and receive. Every app is named in both lists, because
 * a missing name would allow every topic.
 */
function withScopes(text: string, component: EventComponent): string {
  const topicsOf = (topics: readonly Topic[]) => topics.filter((topic) => topic.component === component);
  const apps = ACCESS.filter(
    ({ publishes, subscribes }) => topicsOf([...publishes, ...subscribes]).length > 0,
  );
  const scopes = (kind: 'publishes' | 'subscribes') =>
    apps.map((access) => {
      const topics = topicsOf(access[kind]).map(({ name }) => name);
      return `${access.app}=${topics.join(',') || 'none'}`;
    });
  const named = replace(text, /^scopes:\s+\[[^\]]*\]$/m, `scopes: ${list(apps.map(({ app }) => app))}`);
  const published = replace(named, scopesOf('publishingScopes'), `$1${folded(scopes('publishes'))}`);
  return replace(published, scopesOf('subscriptionScopes'), `$1${folded(scopes('subscribes'))}`);
}

/** The value of a scope, one line or folded. */
const scopesOf = (name: string) =>
  new RegExp(`(- name: ${name}\\n      value:) [^\\n]*(\\n        \\S[^\\n]*)*`);

/** A short value in one line, or a folded scalar with a line per app. */
function folded(scopes: readonly string[]): string {
  const text = scopes.join(';');
  if (text.length <= 80) return ` ${text}`;
  const lines = scopes.map((scope, position) => scope + (position < scopes.length - 1 ? ';' : ''));
  const indented = lines.flatMap(broken).map((line) => `        ${line}`);
  return ` >-\n${indented.join('\n')}`;
}

/** Breaks a long line at commas. */
function broken(line: string): string[] {
  const lines = [''];
  for (const part of line.split(/(?<=,)/)) {
    if (`${lines.at(-1)}${part}`.length > 100) lines.push('');
    lines.push(`${lines.pop()}${part}`);
  }
  return lines;
}
