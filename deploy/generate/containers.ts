import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { HEADER, list, replace, type Edit } from './edit.ts';

/**
 * What dapr.yaml, Compose and Kubernetes have for each service. The gateway is the only service that clients reach, so its own
 * entries are written by hand.
 */
export function containerEdits(services: readonly ServiceDescription[]): Edit[] {
  const names = services.map(({ name }) => name);
  const backEnds = services.filter(({ name }) => name !== 'gateway');
  const stateful = services.filter(({ uses }) => uses.includes('state')).map(({ name }) => name);
  const lines = (format: (name: string) => string, of = names) => of.map(format).join('');
  return [
    [
      'dapr.yaml',
      (text) => replace(text, / {2}- appID: users\n[\s\S]*$/, services.map(daprApp).slice(1).join('')),
    ],
    [
      'deploy/compose/compose.yaml',
      (text) => {
        const mounts = lines((name) => `      - ${name}-secrets:/volumes/secrets/${name}\n`);
        const volumes = lines((name) => `  ${name}-secrets:\n`);
        const mounted = replace(text, /( {6}- [\w-]+-secrets:\/volumes\/secrets\/[\w-]+\n)+/, mounts);
        const stored = replace(mounted, /( {2}[\w-]+-secrets:\n)+/, volumes);
        return replace(
          stored,
          /\n {2}users-net: [\s\S]*\nvolumes:\n/,
          `\n${backEnds.map((service) => composeServices(service, sidecarCommand(text))).join('\n')}\nvolumes:\n`,
        );
      },
    ],
    ...services
      .filter(({ name }) => name !== 'gateway')
      .map((service): Edit => [
        `deploy/kubernetes/base/services/${service.name}.yaml`,
        () => kubernetesService(service),
      ]),
    [
      'deploy/kubernetes/base/services/kustomization.yaml',
      (text) =>
        replace(
          text,
          /resources:\n( {2}- [\w-]+\.yaml\n)+/,
          `resources:\n${lines((name) => `  - ${name}.yaml\n`)}`,
        ),
    ],
    ...['local', 'production'].map((overlay): Edit => [
      `deploy/kubernetes/overlays/${overlay}/kustomization.yaml`,
      (text) => {
        const tag = /newTag: (\S+) \}/.exec(text)?.[1] ?? 'dev';
        return replace(
          text,
          /( {2}- \{ name: sidecart\/[\w-]+, newTag: \S+ \}\n)+/,
          lines((name) => `  - { name: sidecart/${name}, newTag: ${tag} }\n`),
        );
      },
    ]),
    ...['local', 'production'].map((overlay): Edit => [
      `deploy/kubernetes/overlays/${overlay}/network.yaml`,
      (text) => replace(text, /values:\s+\[\s*users,[^\]]*\]/g, `values: ${list(stateful)}`),
    ]),
    [
      'deploy/kubernetes/overlays/local/stores/postgres.yaml',
      (text) =>
        replace(
          text,
          /( +- secret: \{ name: [\w-]+-database, .*\n)+/,
          lines(
            (name) =>
              `              - secret: { name: ${name}-database, items: [{ key: password, path: ${name} }] }\n`,
            stateful,
          ),
        ),
    ],
    [
      'deploy/kubernetes/make-secrets',
      (text) => replace(text, /for app in .*; do/, `for app in ${names.join(' ')}; do`),
    ],
    [
      'deploy/pipeline/images.sh',
      (text) => replace(text, /for service in .*; do/, `for service in ${names.join(' ')}; do`),
    ],
    [
      '.github/workflows/main.yml',
      (text) => replace(text, /service:\s+\[[^\]]*\]/, `service: ${list(names)}`),
    ],
  ];
}

/** `@dapr/dapr` needs 36 MB, so the young heap is smaller than that of the others (services/decisions/0139-two-styles.md). */
const WORKFLOW_NODE_OPTIONS = '--expose-gc --max-semi-space-size=2 --max-old-space-size=96';
const WORKFLOW_APP = `    placementHostAddress: localhost:50005
    env:
      NODE_OPTIONS: ${WORKFLOW_NODE_OPTIONS}
`;

/** The ports of a service follow from its position: 8080 is the gateway. Replicas add ten to each port. */
const daprApp = ({ name, uses }: ServiceDescription, position: number) => `  - appID: ${name}
    appDirPath: .
    containerImage: sidecart/${name}:dev
    containerImagePullPolicy: IfNotPresent
    command: [deploy/local/with-secrets, node, dist/services/${name}/main.js]
    appPort: ${8080 + position}
    daprHTTPPort: ${3580 + position}
    daprGRPCPort: ${3680 + position}
    daprInternalGRPCPort: ${3780 + position}
    metricsPort: ${3880 + position}
${uses.includes('workflows') ? WORKFLOW_APP : ''}`;

/** The arguments of every sidecar in the Compose file, with their indentation. */
function sidecarCommand(text: string): string {
  const [command = ''] = /^ {2}command:\n {4}- --app-port=[\s\S]*?--log-as-json\n/m.exec(text) ?? [];
  return command.replaceAll(/^/gm, '  ').trimEnd();
}

const composeServices = ({ name, uses }: ServiceDescription, command: string) => `  ${name}-net: *network
  ${name}-dapr:
    <<: *sidecar
    environment: { <<: [*no-proxy, *traces], APP_ID: ${name} }
    network_mode: service:${name}-net
    volumes: [components:/sidecart/components:ro, names:/sidecart/.sidecart, ${name}-secrets:/run/sidecart:ro]
    depends_on: { <<: *before-sidecars, ${name}-net: { condition: service_started } }
${uses.includes('workflows') ? `${command.replace('address=\n', 'address=placement:50005\n')}\n` : ''}  ${name}:
    <<: *service
    image: \${SIDECART_IMAGES:-sidecart}/${name}:\${SIDECART_VERSION:-local}
    build: { <<: *build, args: { <<: *build-args, SERVICE: ${name} } }
${uses.includes('workflows') ? `    environment: { <<: *service-environment, NODE_OPTIONS: ${WORKFLOW_NODE_OPTIONS} }\n` : ''}    network_mode: service:${name}-net
    volumes: [${name}-secrets:/run/sidecart:ro]
    depends_on: [${name}-dapr]
`;

/** Without this annotation, the sidecar connects to the placement service of Dapr's control plane. */
const WITHOUT_PLACEMENT = "        dapr.io/placement-host-address: ''\n";

const kubernetesService = ({
  name,
  summary,
  uses,
}: ServiceDescription) => `${HEADER}# ${summary}. every-service.yaml has what all services have in common.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  selector:
    matchLabels: { app.kubernetes.io/name: ${name} }
  template:
    metadata:
      labels: { app.kubernetes.io/name: ${name} }
      annotations:
        dapr.io/app-id: ${name}
        dapr.io/config: ${name}
        dapr.io/api-token-secret: ${name}-api-token
        dapr.io/app-token-secret: ${name}-app-token
${uses.includes('workflows') ? '' : WITHOUT_PLACEMENT}${uses.includes('state') ? `        dapr.io/env-from-secret: STATE_CONNECTION_STRING=${name}-database:connection-string\n` : ''}    spec:
      serviceAccountName: ${name}
      containers:
        - name: app
          image: sidecart/${name}
          ports:
            - { name: http, containerPort: 8080 }
          env:
            - name: DAPR_API_TOKEN
              valueFrom:
                secretKeyRef: { name: ${name}-api-token, key: token }
            - name: APP_API_TOKEN
              valueFrom:
                secretKeyRef: { name: ${name}-app-token, key: token }
---
apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  selector: { app.kubernetes.io/name: ${name} }
  ports:
    - { name: http, port: 8080, targetPort: http }
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${name}
automountServiceAccountToken: false
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: ${name}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: ${name} }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: ${name}
spec:
  selector:
    matchLabels: { app.kubernetes.io/name: ${name} }
`;
