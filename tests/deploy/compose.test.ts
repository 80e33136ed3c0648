import { Ajv } from 'ajv';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { DAPR_RUNTIME_VERSION, ZIPKIN_VERSION } from '../../deploy/local/programs/versions.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { ACCESS } from '../../services/access.ts';

const FILE = 'deploy/compose/compose.yaml';

/** The file with the default values of variables. */
const text = readFileSync(FILE, 'utf8').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
const document: unknown = parse(text, { merge: true, maxAliasCount: -1 });

const container = z.looseObject({
  image: z.string(),
  build: z.looseObject({ args: z.record(z.string(), z.string()), target: z.string().optional() }).optional(),
  command: z.union([z.string(), z.array(z.string())]).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  depends_on: z.union([z.array(z.string()), z.record(z.string(), z.looseObject({}))]).default([]),
});
type Container = z.infer<typeof container>;
const { services } = z.object({ services: z.record(z.string(), container) }).parse(document);
const { common, apps } = readTemplate();
const ids = apps.map(({ appID }) => appID);

const named = (name: string): Container => {
  const found = services[name];
  if (!found) throw new Error(`${FILE} has no ${name}`);
  return found;
};
const dockerfile = readFileSync('deploy/docker/Dockerfile', 'utf8');
const argOf = (name: string) => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(dockerfile)?.[1];

describe('compose.yaml', () => {
  it('When it is read, then it is a valid Compose file', () => {
    const schema = JSON.parse(readFileSync('tests/deploy/compose-spec/compose-spec.json', 'utf8')) as {
      $schema?: string;
    };
    // Ajv does not recognise draft 7 by an https address.
    delete schema.$schema;
    const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
    validate(document);
    expect(validate.errors).toBeNull();
    expect(validate({ services: { orders: { imagge: 'x' } } })).toBe(false);
  });

  it('When dapr.yaml has an app, then compose.yaml has its service, its sidecar and their network, and no others', () => {
    expect(ids.toSorted()).toEqual(ACCESS.map(({ app }) => app).toSorted());
    const others = ['setup', 'postgres', 'redis', 'scheduler', 'placement', 'zipkin', 'mail'];
    const expected = [...others, ...ids.flatMap((id) => [id, `${id}-dapr`, `${id}-net`])];
    expect(Object.keys(services).toSorted()).toEqual(expected.toSorted());
    for (const id of ids) {
      const network_mode = `service:${id}-net`;
      expect(named(id)).toMatchObject({
        network_mode,
        image: `sidecart/${id}:local`,
        build: { args: { SERVICE: id } },
      });
      expect(named(`${id}-dapr`)).toMatchObject({ network_mode, environment: { APP_ID: id } });
    }
  });

  it.each(ids)(
    'When the sidecar of %s starts, then it has the settings of dapr.yaml, and only its service can reach it',
    (id) => {
      const flags = named(`${id}-dapr`).command;
      expect(flags).toEqual([
        `--app-port=${named(id).environment['APP_PORT']}`,
        `--dapr-listen-addresses=${common.apiListenAddresses}`,
        `--dapr-http-port=${named(id).environment['DAPR_HTTP_PORT']}`,
        '--dapr-grpc-port=50001',
        '--dapr-internal-grpc-port=50002',
        `--metrics-port=${named(id).environment['DAPR_METRICS_PORT']}`,
        '--metrics-listen-address=127.0.0.1',
        `--config=${common.configFilePath}`,
        ...common.resourcesPaths.map((path) => `--resources-path=${path}`),
        `--scheduler-host-address=${common.schedulerHostAddress.replace('localhost', 'scheduler')}`,
        `--placement-host-address=${apps.find(({ appID }) => appID === id)?.placementHostAddress?.replace('localhost', 'placement') ?? ''}`,
        `--read-buffer-size=${common.readBufferSize}`,
        '--enable-app-health-check',
        `--app-health-check-path=${common.appHealthCheckPath}`,
        `--app-health-probe-interval=${common.appHealthProbeInterval}`,
        `--app-health-probe-timeout=${common.appHealthProbeTimeout}`,
        `--app-health-threshold=${common.appHealthThreshold}`,
        '--log-as-json',
      ]);
    },
  );

  it.each(apps)(
    'When $appID starts, then it has the environment of dapr.yaml',
    ({ appID, env: own = {} }) => {
      const expected = { ...common.env, ...own };
      const given = named(appID).environment;
      // A path in the image has no host part.
      const { NODE_ENV, NO_PROXY, no_proxy, ...compared } = expected;
      expect(dockerfile).toContain(`ENV NODE_ENV=${NODE_ENV}`);
      expect([NO_PROXY, no_proxy]).not.toContain(undefined);
      const moved = Object.entries(compared).map(([name, value]) => [
        name,
        value.replace('localhost:9411', 'zipkin:9411').replace('localhost:6379', 'redis:6379'),
      ]);
      expect(given).toMatchObject(Object.fromEntries(moved) as Record<string, string>);
    },
  );

  it('When an image is used, then it has the exact version that is used elsewhere', () => {
    const images = new Set(Object.values(services).map(({ image }) => image));
    const foreign = [...images].filter((image) => !image.startsWith('sidecart/')).toSorted();
    expect(foreign).toEqual([
      `daprio/placement:${DAPR_RUNTIME_VERSION}`,
      `daprio/scheduler:${DAPR_RUNTIME_VERSION}`,
      argOf('NODE_IMAGE'),
      `openzipkin/zipkin:${ZIPKIN_VERSION}`,
      expect.stringMatching(/^postgres:17\.\d+-bookworm$/),
      expect.stringMatching(/^redis:7\.\d+\.\d+-bookworm$/),
    ]);
    expect(argOf('DAPRD_IMAGE')).toBe(`daprio/daprd:${DAPR_RUNTIME_VERSION}`);
    const bases = Object.values(services).flatMap(({ build }) => (build ? [build.args['NODE_IMAGE']] : []));
    expect(new Set(bases)).toEqual(new Set([argOf('NODE_IMAGE')]));
  });

  it('When ports are published, then only these four, on the loopback', () => {
    const published = Object.entries(services).flatMap(([name, { ports }]) =>
      ports.map((port) => `${name} ${port}`),
    );
    expect(published.toSorted()).toEqual([
      'gateway-net 127.0.0.1:50051:50051',
      'gateway-net 127.0.0.1:8080:8080',
      'mail 127.0.0.1:8025:8025',
      'zipkin 127.0.0.1:9411:9411',
    ]);
  });

  it('When secrets are mounted, then a service and its sidecar have their own, read-only', () => {
    const mounted = Object.entries(services).flatMap(([name, { volumes }]) =>
      volumes.filter((volume) => volume.includes('-secrets:')).map((volume) => `${name} ${volume}`),
    );
    const expected = ids.flatMap((id) => [
      `${id} ${id}-secrets:/run/sidecart:ro`,
      `${id}-dapr ${id}-secrets:/run/sidecart:ro`,
      `setup ${id}-secrets:/volumes/secrets/${id}`,
    ]);
    expect(mounted.toSorted()).toEqual(expected.toSorted());
  });

  it.each(Object.entries(services))(
    'When %s runs, then it has the fewest possible privileges',
    (name, given) => {
      expect(given).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
        mem_limit: expect.stringMatching(/^\d+[mg]$/),
      });
      expect('cap_add' in given).toBe(name === 'setup');
    },
  );
});
