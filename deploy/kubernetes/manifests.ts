import { parse, stringify } from 'yaml';
import { ACCESS, type Access } from '../../services/access.ts';
import { readComponents } from '../local/configuration/component-files.ts';
import { accessControlOf, apiAllowListOf } from './access-control.ts';
import { networkPolicyOf } from './network-policy.ts';

/**
 * The files of base/access: for each service its Dapr Configuration and its network policy. `npm run generate` writes them, and a
 * test compares them with the table of services/access.ts and with components/configuration.yaml.
 */

/** In the base, and in the policies of access control, which Kustomize does not rename. */
export const NAMESPACE = 'sidecart';
/** Of the apps. Sentry puts it into their certificates: https://docs.dapr.io/operations/configuration/invoke-allowlist/ */
const TRUST_DOMAIN = 'public';

const HEADER =
  '# Generated from services/access.ts and components/configuration.yaml by `npm run generate`.\n';

/** The text of each file by its name. */
export function accessFiles(table: readonly Access[] = ACCESS): Map<string, string> {
  const names = table.map(({ app }) => `${app}.yaml`).toSorted();
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: names,
  };
  return new Map([
    ['kustomization.yaml', HEADER + toYaml(kustomization)],
    ...table.map(({ app }): [string, string] => [
      `${app}.yaml`,
      `${HEADER}${toYaml(configurationOf(table, app))}---\n${toYaml(networkPolicyOf(table, app))}`,
    ]),
  ]);
}

/** What components/configuration.yaml says for all sidecars, and who may call this app and what it may ask of its sidecar. */
function configurationOf(table: readonly Access[], app: string) {
  const shared = parse(readComponents().get('configuration.yaml') ?? '') as {
    apiVersion: string;
    kind: string;
    spec: Record<string, unknown>;
  };
  // Kubernetes resolves names by itself, and `secretstore` is not there: no sidecar has an API for secrets.
  const { nameResolution: _, secrets: __, ...spec } = shared.spec;
  return {
    apiVersion: shared.apiVersion,
    kind: shared.kind,
    metadata: { name: app },
    spec: {
      ...spec,
      secrets: { scopes: [{ storeName: 'kubernetes', defaultAccess: 'deny' }] },
      api: { allowed: apiAllowListOf(table, app) },
      accessControl: accessControlOf(table, app, { namespace: NAMESPACE, trustDomain: TRUST_DOMAIN }),
    },
  };
}

const toYaml = (value: unknown) => stringify(value, { singleQuote: true, lineWidth: 0 });
