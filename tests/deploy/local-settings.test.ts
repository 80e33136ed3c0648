import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePositiveNumber, parseArguments, takeOption } from '../../deploy/local/commands/arguments.ts';
import { readSettings, settingsSchema } from '../../deploy/local/configuration/settings.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';

/** Invalid values of each variable. A variable that accepts any text has none. */
const BROKEN: Record<string, string[]> = {
  PORT_OFFSET: ['x', '-1', '1.5', '1e3', ' 1000', '22001', '2000'],
  SIDECART_CACHE_DIR: [],
  XDG_CACHE_HOME: ['.cache', '~/.cache'],
  DAPR_RELEASES: [
    'mirror.example',
    'ftp://mirror.example',
    'https://ada:secret@mirror.example',
    'https://mirror.example/?a',
  ],
  DAPR_COMPONENTS: ['some', 'ALL'],
  SIDECART_ACCESS_TOKEN: ['two words', 'line\n'],
  SIDECART_API_URL: ['localhost:8080', 'http://', 'http://localhost:8080/api', 'http://ada:secret@localhost'],
  LOG_LEVEL: ['INFO', 'loud'],
  ADMIN_EMAIL: ['boss'],
  ADMIN_PASSWORD: ['12345'],
};
const EXAMPLE = /^ {2}(\w+): .+\. For example: \1=.+$/;

function errorFor(read: () => unknown): string {
  try {
    read();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
const problems = (text: string) => text.split('\n').slice(1);

describe('the settings of npm start and the other commands', () => {
  it('When the variables are listed, then each has broken values here', () => {
    expect(Object.keys(BROKEN).toSorted()).toEqual(Object.keys(settingsSchema.shape).toSorted());
  });

  it.each(Object.entries(BROKEN).flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    'When %s is %j, then the error has the problem and an example',
    (name, value) => {
      const pair = name.startsWith('ADMIN')
        ? { ADMIN_EMAIL: 'ada@example.com', ADMIN_PASSWORD: 'correct horse' }
        : {};
      const error = problems(
        errorFor(() => readSettings(undefined, { ...pair, [name]: value }, '/home/ada')),
      );
      expect(error).toEqual([expect.stringMatching(EXAMPLE)]);
      expect(error[0]).toContain(`${name}: `);
      expect(error[0]).not.toContain('secret');
    },
  );

  it('When several are wrong, then one error names all of them once, including those of services', () => {
    const env = {
      PORT_OFFSET: 'x',
      ADMIN_EMAIL: 'ada@example.com',
      LOG_LEVEL: 'loud',
      CORS_ORIGINS: 'https://shop.example/app',
      ORDER_PAYMENT_DEADLINE_MS: '6000',
    };
    const error = problems(errorFor(() => readSettings(readTemplate(), env, '')));
    const names = [
      'HOME',
      'PORT_OFFSET',
      'LOG_LEVEL',
      'ADMIN_PASSWORD',
      'CORS_ORIGINS',
      'ORDER_WATCHDOG_INTERVAL_MS',
    ];
    expect(new Set(error.map((line) => /^ {2}(\w+):/.exec(line)?.[1]))).toEqual(new Set(names));
    expect(error).toHaveLength(names.length);
    for (const line of error) expect(line).toMatch(EXAMPLE);
  });

  it('When nothing is set, or everything is empty, then there is no error, also not for the services', () => {
    const empty = Object.fromEntries(Object.keys(BROKEN).map((name) => [name, '']));
    expect(readSettings(readTemplate(), {}, '/home/ada')).toEqual({ LOG_LEVEL: 'info' });
    expect(readSettings(readTemplate(), empty, '/home/ada')).toEqual({ LOG_LEVEL: 'info' });
  });

  it('When a service of the template is from elsewhere, then its settings are not checked', () => {
    const { apps, ...others } = readTemplate();
    const template = { ...others, apps: apps.map((app) => ({ ...app, command: ['python3', 'main.py'] })) };
    expect(errorFor(() => readSettings(template, { CORS_ORIGINS: '*' }, '/home/ada'))).toBe('');
  });

  it('When the API has a trailing slash, then the result is an origin', () => {
    const { SIDECART_API_URL } = readSettings(
      undefined,
      { SIDECART_API_URL: 'http://LOCALHOST:9080/' },
      '/home/ada',
    );
    expect(SIDECART_API_URL).toBe('http://localhost:9080');
  });
});

describe('the arguments of a command', () => {
  const options = { profile: { type: 'string' }, quick: { type: 'boolean' } } as const;

  it.each([[['--quack']], [['quick']], [['--profile']], [['--quick=yes']]])(
    'When they are %j, then the error has the argument',
    (args) => {
      const [name = ''] = args[0]?.replaceAll('-', '').split('=') ?? [];
      expect(() => parseArguments(options, args, {})).toThrow(name);
    },
  );

  it('When npm has taken an option, then the error says where to put it', () => {
    expect(() => parseArguments(options, [], { npm_config_profile: 'x' })).toThrow('npm start -- --profile');
  });

  it('When they are right, then they are parsed', () => {
    expect(parseArguments(options, ['--profile', 'x', '--quick'], {})).toEqual({ profile: 'x', quick: true });
  });

  it.each([
    [['a', '--with', 'x=y', '-t', 'b'], 'x=y', ['a', '-t', 'b']],
    [['a', '--with'], '', ['a']],
    [['a', '-t', 'b'], undefined, ['a', '-t', 'b']],
  ])('When %j are for another program, then only the value of --with is taken out', (args, value, others) => {
    expect(takeOption('with', args)).toEqual({ value, others });
  });

  it.each(['', '-1', '0', '1e3', 'two', '0x10', ' 1'])(
    'When an amount is %j, then it is rejected',
    (text) => {
      expect(() => parsePositiveNumber('--hours', text)).toThrow('--hours must be a number greater than 0');
    },
  );

  it('When an amount has a fraction, then it is accepted', () => {
    expect(parsePositiveNumber('--hours', '0.5')).toBe(0.5);
  });
});

const runsTypeScript = Number(process.versions.node.split('.')[0]) >= 24;

describe.runIf(runsTypeScript)('a command', { timeout: 30_000 }, () => {
  const run = (args: string[], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { HOME: homedir(), ...env },
    });
    return { status, stdout, stderr };
  };

  it.each([
    ['start', ['--profile', 'nowhere'], 'Unknown profile "nowhere". Use nats-postgres'],
    ['start', ['--prfile', 'x'], "Unknown option '--prfile'"],
    ['demo', ['now'], "Unexpected argument 'now'"],
    ['bench', ['--quik'], "Unknown option '--quik'"],
    ['soak', ['--hours', 'eight'], '--hours must be a number greater than 0'],
    ['faults', ['disorder'], 'unknown mode "disorder"'],
    ['faults', ['--minutes', '10m'], '--minutes must be a number greater than 0'],
  ])('When npm run %s gets %j, then it prints one line and exits with 1', (program, args, message) => {
    const folder = ['start', 'demo'].includes(program) ? 'deploy/local' : 'tests';
    const { status, stdout, stderr } = run([`${folder}/commands/${program}.ts`, ...args]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('When the environment of npm start is broken, then it fails before it starts anything', () => {
    const { status, stdout, stderr } = run(['deploy/local/commands/start.ts'], {
      PORT_OFFSET: '2000',
      TRUSTED_PROXIES: '1',
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      'The environment variables are wrong:',
      expect.stringContaining('PORT_OFFSET: '),
      expect.stringContaining('TRUSTED_PROXIES: '),
    ]);
  });

  const cache = (env: Record<string, string>) =>
    run(
      ['-p', "import('./deploy/local/machine/paths.ts').then(({ cacheDir }) => console.log(cacheDir))"],
      env,
    ).stdout;

  it.each([
    [{ SIDECART_CACHE_DIR: '/var/cache/mine' }, '/var/cache/mine'],
    [{ SIDECART_CACHE_DIR: './cache' }, join(process.cwd(), 'cache')],
    [{ SIDECART_CACHE_DIR: './cache', INIT_CWD: '/home/ada' }, '/home/ada/cache'],
    [{ SIDECART_CACHE_DIR: '', XDG_CACHE_HOME: '/var/cache' }, '/var/cache/sidecart'],
    [{ XDG_CACHE_HOME: '', HOME: '/home/ada' }, '/home/ada/.cache/sidecart'],
  ])('When %j is set, then programs are cached in %s', (env, folder) => {
    expect(cache(env)).toContain(`${folder}\n`);
  });

  it.runIf(process.getuid?.() === 0)(
    'When the user has no home, then npm start says which variable to set',
    () => {
      const { status, stderr } = spawnSync(process.execPath, ['deploy/local/commands/start.ts'], {
        encoding: 'utf8',
        env: {},
        uid: 54_321,
        gid: 54_321,
      });
      expect(status).toBe(1);
      expect(stderr).toContain('HOME: is missing');
      expect(stderr).toContain('For example: HOME=/tmp/home');
    },
  );
});
