import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createApp } from '../../services/gateway/app.ts';
import { createAccessControl } from '../../services/gateway/auth/access-control.ts';
import { loadConfig } from '../../services/shared/runtime/config.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { startService } from '../support/service-under-test.ts';

/** Texts that are not whole numbers, although `Number` accepts some of them. */
const NO_NUMBERS = ['eighty', '5s', '1e3', ' 80 ', '080', '0x50', '-80', '+80', '80.5', 'true', 'null', '٨٠'];
const NO_URLS = ['localhost:9411', 'http://', 'http:localhost', 'http:// localhost', 'ftp://localhost/spans'];
const NO_TOKENS = ['two words', 'line\n', 'Passwört', ' padded'];
const NO_PORTS = [...NO_NUMBERS, '0', '65536', '99999999999999999999'];

const NO_HOSTS = ['localhost:80', '[::1]', 'http://localhost', '10.0.0.256', 'no host', '127.1', '*'];

const NO_DAYS = ['many', '-1', '1d', '1,5', '10000', '.5', '1e3'];

/**
 * Invalid values of each variable of the services. The first test below fails if a variable is missing here.
 */
const BROKEN: Record<string, string[]> = {
  APP_PORT: NO_PORTS,
  APP_HOST: NO_HOSTS,
  DAPR_HTTP_PORT: NO_PORTS,
  DAPR_METRICS_PORT: NO_PORTS,
  DAPR_API_TOKEN: NO_TOKENS,
  APP_API_TOKEN: NO_TOKENS,
  LOG_SAMPLE_RATIO: ['1.1', '-0.1', '10%', '0,1', 'some'],
  LOG_LEVEL: ['INFO', 'loud', '30'],
  ZIPKIN_ENDPOINT: [
    ...NO_URLS,
    'http://localhost:9411',
    'http://localhost:99999/api/v2/spans',
    'http://ada:secret-1@localhost:9411/api/v2/spans',
    'http://localhost:9411/api/v2/spans#top',
  ],
  TRACES_PER_SECOND: [...NO_NUMBERS, '1000001'],
  OTEL_SERVICE_NAME: ['my orders', 'x'.repeat(65), 'bestellung/ä'],
  OTEL_TRACES_SAMPLER: ['always_on', 'traceidratio', 'parentbased', 'PARENTBASED_ALWAYS_ON'],
  OTEL_TRACES_SAMPLER_ARG: ['1.1', '-0.1', '10%', '0,1', 'all', '.', '1e-3'],
  OTEL_EXPORTER_OTLP_ENDPOINT: [
    ...NO_URLS,
    'localhost:4318',
    'http://localhost:4318/v1/traces',
    'http://ada:secret-1@localhost:4318',
    'grpc://localhost:4317',
  ],
  OTEL_EXPORTER_OTLP_HEADERS: [
    'secret-1',
    '=secret-1',
    'api key=secret-1',
    'key=secret-%',
    'key=secret 1',
    'a=1,,b=2',
  ],
  GRPC_PORT: NO_PORTS,
  OPERATOR_PORT: NO_PORTS,
  OPERATOR_HOST: NO_HOSTS,
  KEEP_ALIVE_TIMEOUT_SECONDS: [...NO_NUMBERS, '0', '86401'],
  RATE_LIMIT_DEFAULT: [...NO_NUMBERS, '0', '1000000001'],
  RATE_LIMIT_API: [...NO_NUMBERS, '0', '1000000001'],
  RATE_LIMIT_AUTH: [...NO_NUMBERS, '0', '1000000001'],
  RATE_LIMIT_REDIS_URL: [
    'elsewhere:6379',
    'http://localhost:6379',
    'redis://',
    'redis:///0',
    'redis://localhost:6379/first',
    'redis://localhost:6379/0/1',
    'redis://localhost:6379?db=1',
    'redis://:secret#1@localhost:6379',
    'redis://:secret%@localhost:6379',
  ],
  CORS_ORIGINS: [
    ',',
    '*',
    'null',
    'elsewhere.example',
    'localhost:3000',
    'ftp://shop.example',
    'https://*.shop.example',
    'https://shop.example/app',
    'https://shop.example/#top',
    'https://ada:secret-1@shop.example',
    'https://one.example;https://two.example',
    'https://one.example https://two.example',
    'https://shop.example:99999',
    'https://fine.example,https://shop.example/app',
  ],
  TRUSTED_PROXIES: [
    ',',
    '1',
    'true',
    'localhost',
    'private',
    '10.0.0.256',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '192.0.2.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '::1/129',
    'fe80::1%eth0',
    '10.0.0.1:8080',
    'loopback,10.0.0',
  ],
  SEED_FILE: ['/no/such/file.json', 'node_modules'],
  EMAIL_BINDINGS: [',', 'e mail', 'email/2', 'Email', 'email,e_mail'],
  ORDER_WATCHDOG_INTERVAL_MS: [...NO_NUMBERS, '99', '300001'],
  ORDER_PAYMENT_DEADLINE_MS: [...NO_NUMBERS, '99', '2592000001'],
  ORDER_MAX_QUEUE_WAIT_MS: [...NO_NUMBERS, '99', '3600001'],
  PAYMENT_TIMEOUT_MS: [...NO_NUMBERS, '0', '60001'],
  PAYMENT_MAX_ATTEMPTS: [...NO_NUMBERS, '0', '1001'],
  SIMULATED_SLOW_CARD_MS: [...NO_NUMBERS, '600001'],
  SIMULATED_DISPATCH_DELAY_MS: [...NO_NUMBERS, '2592000001'],
  SIMULATED_DELIVERY_DELAY_MS: [...NO_NUMBERS, '2592000001'],
  DAPR_GRPC_PORT: NO_PORTS,
  RETURN_WINDOW_DAYS: NO_DAYS,
  RETURN_PARCEL_DAYS: NO_DAYS,
  RETURN_AUTO_APPROVAL_AMOUNT: [...NO_NUMBERS, '1000000001'],
  RETURN_SWEEP_SECONDS: [...NO_NUMBERS, '0', '3601'],
  TOKEN_TTL_SECONDS: [...NO_NUMBERS, '59', '86401'],
  REFRESH_TTL_SECONDS: [...NO_NUMBERS, '59', '7776001'],
  KEY_ROTATION_SECONDS: [...NO_NUMBERS, '599', '31536001'],
  ADMIN_EMAIL: ['boss', 'boss@', 'two words@example.com'],
  ADMIN_PASSWORD: ['12345', 'x'.repeat(201)],
};

type Env = Record<string, string>;

/** The schemas of the services, and the names of the variables in each. */
const services = await Promise.all(
  readdirSync('services')
    .filter((name) => name !== 'shared' && existsSync(`services/${name}/config.ts`))
    .map(async (name) => {
      const { config } = (await import(`../../services/${name}/config.ts`)) as { config: z.ZodType };
      const object = config instanceof z.ZodPipe ? config.in : config;
      if (!(object instanceof z.ZodObject)) throw new Error(`the schema of ${name} is not an object`);
      return { name, config, variables: Object.keys(object.shape) };
    }),
);
const variables = services.flatMap(({ name, config, variables: names }) =>
  names.map((variable) => ({ service: name, config, variable })),
);

/** The error of a service about these variables, or '' if they are valid. */
function errorFor(config: z.ZodType, env: Env): string {
  try {
    loadConfig(config, env);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const EXAMPLE = /^ {2}(\w+): .+\. For example: (\w+)=(.+)$/;

/** The examples in an error. */
function examplesIn(text: string): Env {
  const lines = text.split('\n').slice(1);
  return Object.fromEntries(lines.map((line) => EXAMPLE.exec(line)?.slice(2) ?? [line, 'has no example']));
}

/** Valid values of the required variables of a service. */
const required = (config: z.ZodType): Env => examplesIn(errorFor(config, {}));

describe('the environment of each service', () => {
  it('When the schemas are listed, then exactly their variables have broken values here', () => {
    const names = new Set(variables.map(({ variable }) => variable));
    expect(Object.keys(BROKEN).toSorted()).toEqual([...names].toSorted());
  });

  it.each(variables)(
    'When $variable of $service is a secret, then the error does not have it',
    ({ config, variable }) => {
      const values = [
        'secret',
        '1 secret',
        'secret '.repeat(40),
        'http://secret:secret@secret:1/secret?secret#secret',
        'redis://secret:secret%@secret/secret',
        'loopback,secret/secret,https://secret/secret',
      ];
      for (const value of values)
        expect(errorFor(config, { ...required(config), [variable]: value })).not.toContain('secret');
    },
  );

  it.each(variables)(
    'When $variable of $service is broken, then the error has the problem and an example',
    ({ config, variable }) => {
      const needed = required(config);
      for (const value of BROKEN[variable] ?? []) {
        const error = errorFor(config, { ...needed, [variable]: value });
        expect({ value, error }).toEqual({ value, error: expect.stringContaining(`\n  ${variable}: `) });
        for (const line of error.split('\n').slice(1)) expect(line).toMatch(EXAMPLE);
      }
    },
  );

  it.each(variables)(
    'When $variable of $service is its example, then it is accepted',
    ({ config, variable }) => {
      const [broken = ''] = BROKEN[variable] ?? [];
      const { [variable]: example = '' } = examplesIn(errorFor(config, { [variable]: broken }));
      expect(example).not.toBe('');
      const pair = variable.startsWith('ADMIN_')
        ? { ADMIN_EMAIL: 'ada@example.com', ADMIN_PASSWORD: 'correct horse' }
        : {};
      expect(errorFor(config, { ...required(config), ...pair, [variable]: example })).toBe('');
    },
  );

  it.each(services)('When every variable of $name is broken, then one error names all of them', (service) => {
    const broken = service.variables.map((name) => [name, BROKEN[name]?.[0] ?? '']);
    const error = errorFor(service.config, Object.fromEntries(broken));
    for (const name of service.variables) expect(error).toContain(`\n  ${name}: `);
  });

  it.each(services)('When every variable of $name is empty, then it counts as unset', (service) => {
    const empty = Object.fromEntries(service.variables.map((name) => [name, '']));
    expect(errorFor(service.config, empty)).toBe(errorFor(service.config, {}));
    expect(errorFor(service.config, { ...empty, ...required(service.config) })).toBe('');
  });
});

const configOf = (name: string) => services.find((service) => service.name === name)?.config ?? z.never();
const read = (name: string, env: Env) => {
  const config = configOf(name);
  return loadConfig(config, { ...required(config), ...env }) as Record<string, unknown>;
};

describe('variables that depend on each other', () => {
  it.each([
    [
      'orders',
      'ORDER_WATCHDOG_INTERVAL_MS',
      { ORDER_WATCHDOG_INTERVAL_MS: '6001', ORDER_PAYMENT_DEADLINE_MS: '6000' },
    ],
    ['orders', 'ORDER_WATCHDOG_INTERVAL_MS', { ORDER_PAYMENT_DEADLINE_MS: '6000' }],
    ['users', 'REFRESH_TTL_SECONDS', { REFRESH_TTL_SECONDS: '3599', TOKEN_TTL_SECONDS: '3600' }],
    ['users', 'REFRESH_TTL_SECONDS', { REFRESH_TTL_SECONDS: '60' }],
    ['users', 'ADMIN_PASSWORD', { ADMIN_EMAIL: 'ada@example.com' }],
    ['users', 'ADMIN_EMAIL', { ADMIN_PASSWORD: 'correct horse' }],
  ])('When %s has a wrong pair, then the error names %s', (name, variable, env) => {
    const config = configOf(name);
    const error = errorFor(config, { ...required(config), ...env });
    expect(Object.keys(examplesIn(error))).toEqual([variable]);
  });

  it('When another variable is broken as well, then the error names both', () => {
    const error = errorFor(configOf('users'), { KEY_ROTATION_SECONDS: '1h', ADMIN_EMAIL: 'ada@example.com' });
    expect(Object.keys(examplesIn(error))).toEqual(
      expect.arrayContaining(['APP_PORT', 'KEY_ROTATION_SECONDS', 'ADMIN_PASSWORD']),
    );
  });
});

describe('the syntax of lists and origins', () => {
  it.each([
    ['https://shop.example/', ['https://shop.example']],
    ['HTTPS://Shop.Example:443', ['https://shop.example']],
    ['http://[::1]:3000', ['http://[::1]:3000']],
    ['https://bücher.example', ['https://xn--bcher-kva.example']],
    [
      ' https://a.example , https://b.example:8443, https://A.example/,',
      ['https://a.example', 'https://b.example:8443'],
    ],
  ])('When CORS_ORIGINS is %s, then the origins are those that browsers send', (text, origins) => {
    expect(read('gateway', { CORS_ORIGINS: text })['corsOrigins']).toEqual(origins);
  });

  it('When an origin has a trailing slash, then its pages may call', async () => {
    const corsOrigins = read('gateway', { CORS_ORIGINS: 'https://shop.example/' })['corsOrigins'] as string[];
    const service = await startService((deps) => {
      const all = { ...deps, ...gatewayOptions(), corsOrigins };
      return createApp(all, createAccessControl(all));
    });
    const answer = await service.http.get('/health').set('origin', 'https://shop.example');
    expect(answer.headers['access-control-allow-origin']).toBe('https://shop.example');
    await service.stop();
  });

  it.each([
    'loopback',
    'linklocal,uniquelocal',
    '10.0.0.1',
    '10.0.0.0/8',
    '::1',
    'fd00::/8',
    '::ffff:10.0.0.1',
  ])('When TRUSTED_PROXIES is %s, then the gateway accepts it', async (text) => {
    const trustedProxies = read('gateway', { TRUSTED_PROXIES: text })['trustedProxies'] as string[];
    const service = await startService((deps) => {
      const all = { ...deps, ...gatewayOptions(), trustedProxies };
      return createApp(all, createAccessControl(all));
    });
    await service.stop();
    expect(trustedProxies).toEqual(text.split(','));
  });

  it('When a binding is listed twice, then it still sends one e-mail at a time', () => {
    expect(read('notifications', { EMAIL_BINDINGS: 'email, email-2,email' })).toMatchObject({
      EMAIL_BINDINGS: ['email', 'email-2'],
    });
  });

  it.each([
    'redis://localhost',
    'redis://localhost:6379/',
    'rediss://ada:pa%23ss@redis.example:6380/15',
    'redis://[::1]:6379',
  ])('When RATE_LIMIT_REDIS_URL is %s, then it is accepted', (text) => {
    expect(read('gateway', { RATE_LIMIT_REDIS_URL: text })).toMatchObject({ RATE_LIMIT_REDIS_URL: text });
  });
});

describe('a process', { timeout: 30_000 }, () => {
  const runsTypeScript = Number(process.versions.node.split('.')[0]) >= 24;

  it.runIf(runsTypeScript)(
    'When its environment is broken, then it prints a few lines and exits with 1',
    () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['services/users/main.ts'], {
        encoding: 'utf8',
        env: {
          APP_PORT: '80 81',
          ZIPKIN_ENDPOINT: 'http://ada:secret-1@localhost/api/v2/spans',
          ADMIN_PASSWORD: 'secret',
          APP_API_TOKEN: 'secret-2\n',
        },
      });

      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      const [title, ...lines] = stderr.trimEnd().split('\n');
      expect(title).toBe('The environment variables are wrong:');
      for (const line of lines) expect(line).toMatch(EXAMPLE);
      const named = ['ADMIN_EMAIL', 'APP_API_TOKEN', 'APP_PORT', 'ZIPKIN_ENDPOINT'];
      expect(Object.keys(examplesIn(stderr.trimEnd()))).toEqual(expect.arrayContaining(named));
      expect(stderr).not.toContain('secret');
    },
  );
});
