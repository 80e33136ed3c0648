import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SERVICES as LIST } from '../../services/services.ts';

/** Checks the import rules of services/README.md and deploy/local/README.md. */

const SERVICES = readdirSync('services', { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !['shared', 'decisions'].includes(entry.name))
  .map((entry) => entry.name);

interface Source {
  service: string;
  file: string;
  text: string;
  /** Package names, and files of this repository as `service/file.ts`. */
  imports: string[];
}

function sourcesOf(service: string): Source[] {
  return readdirSync(join('services', service), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const text = readFileSync(join('services', service, file), 'utf8');
      const imports = [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, target = '']) =>
        target.startsWith('.') ? normalize(join(service, dirname(file), target)) : target,
      );
      return { service, file, text, imports };
    });
}

const own = SERVICES.flatMap(sourcesOf);
const shared = sourcesOf('shared');
const all = [...own, ...shared];

const name = ({ service, file }: Source) => `${service}/${file}`;
const offenders = (sources: Source[], breaks: (source: Source) => boolean) =>
  sources.filter(breaks).map(name);

/** The folders of `services/shared`, in the order of their imports. */
const FOLDERS: (string | undefined)[] = [
  'schemas',
  'util',
  'telemetry',
  'dapr',
  'http',
  'api-docs',
  'runtime',
];

const isRule = ({ file }: Source) => file.startsWith('domain/');
const isStore = ({ file }: Source) => file.startsWith('store/');

describe('the layout', () => {
  it('When the services are listed, then each of them has a folder', () => {
    expect(SERVICES.toSorted()).toEqual(LIST.map((service) => service.name).toSorted());
  });

  it('When a service imports another one, then it imports only the contract, except the gateway, which also imports api.ts', () => {
    const foreign = ({ service, imports }: Source) =>
      imports.some((target) => {
        const [owner = ''] = target.split('/');
        const allowed = [`${owner}/contract.ts`, ...(service === 'gateway' ? [`${owner}/api.ts`] : [])];
        return SERVICES.includes(owner) && owner !== service && !allowed.includes(target);
      });
    expect(offenders(own, foreign)).toEqual([]);
  });

  it('When shared code imports, then it imports no service', () => {
    expect(
      offenders(shared, (source) =>
        source.imports.some((target) => SERVICES.includes(target.split('/')[0] ?? '')),
      ),
    ).toEqual([]);
  });

  it('When a folder of shared imports another one, then that one is lower in the order', () => {
    const goesBack = ({ file, imports }: Source) =>
      imports.some((target) => {
        const [owner, folder] = target.split('/');
        return owner === 'shared' && FOLDERS.indexOf(folder) > FOLDERS.indexOf(file.split('/')[0]);
      });
    expect(shared.filter(({ file }) => !FOLDERS.includes(file.split('/')[0]))).toEqual([]);
    expect(offenders(shared, goesBack)).toEqual([]);
  });

  it('When a module imports the access table, then it is not a service', () => {
    expect(offenders(all, (source) => source.imports.includes('access.ts'))).toEqual([]);
  });

  it('When a service imports a file, then the file is in services', () => {
    expect(offenders(all, (source) => source.imports.some((target) => target.startsWith('..')))).toEqual([]);
  });

  it('When a contract imports, then it imports only zod, shared types, other contracts and its own rules', () => {
    const allowed = /^(zod|shared\/schemas\/[a-z-]+\.ts|[a-z]+\/contract\.ts)$/;
    const contracts = own.filter((source) => source.file === 'contract.ts');
    const isForeign = ({ service, imports }: Source) =>
      imports.some((target) => !allowed.test(target) && !target.startsWith(`${service}/domain/`));
    expect(offenders(contracts, isForeign)).toEqual([]);
  });

  it('When an api.ts imports, then it imports only zod, contracts, its behaviour, config and metrics and the shared vocabulary', () => {
    const allowed =
      /^(zod|shared\/(api-docs\/route-table|runtime\/config|schemas\/[a-z-]+)\.ts|[a-z]+\/contract\.ts)$/;
    const apis = own.filter((source) => source.file === 'api.ts');
    expect(apis).toHaveLength(SERVICES.length);
    const isForeign = ({ service, imports }: Source) =>
      imports.some(
        (target) =>
          !allowed.test(target) &&
          !['behaviour', 'config', 'metrics'].some((part) => target === `${service}/${part}.ts`),
      );
    expect(offenders(apis, isForeign)).toEqual([]);
  });

  it('When a file is not main.ts, then it does not use process', () => {
    const touches = /process\.(env|exit|on|argv)\b/;
    const isAllowed = (source: Source) =>
      ['shared/runtime/shutdown.ts', 'shared/runtime/run-service.ts'].includes(name(source));
    const others = all.filter((source) => source.file !== 'main.ts' && !isAllowed(source));
    expect(offenders(others, (source) => touches.test(source.text))).toEqual([]);
  });

  it('When it is a composition root, then it has at most 30 lines and no importer', () => {
    const roots = own.filter((source) => source.file === 'main.ts');
    expect(roots).toHaveLength(SERVICES.length);
    expect(offenders(roots, (source) => source.text.trimEnd().split('\n').length > 30)).toEqual([]);
    expect(offenders(all, (source) => source.imports.some((target) => target.endsWith('/main.ts')))).toEqual(
      [],
    );
  });

  it('When a file is long, then the list of exceptions has it', () => {
    expect(offenders(all, (source) => source.text.split('\n').length > 250)).toEqual([]);
  });

  it('When a file has pure rules, then it uses no Express, sidecar, clock or randomness', () => {
    const rules = own.filter(isRule);
    expect(rules.length).toBeGreaterThan(0);
    // A hash depends on nothing but its input.
    const impure =
      /from '(express|undici|uuid|node:(?!crypto')[^']*|[^']*shared\/dapr\/(sidecar|state-store)\.ts)'|new Date\(\)|Date\.now|performance\.now|Math\.random|random(UUID|Bytes|Int)/;
    expect(offenders(rules, (source) => impure.test(source.text))).toEqual([]);
  });

  it('When a pure rule imports from its service, then it imports only the contract and other rules', () => {
    const importsOtherFiles = ({ service, imports }: Source) =>
      imports.some(
        (target) =>
          target.startsWith(`${service}/`) &&
          target !== `${service}/contract.ts` &&
          !target.startsWith(`${service}/domain/`),
      );
    expect(offenders(own.filter(isRule), importsOtherFiles)).toEqual([]);
  });

  it('When a service has a store, then no other file reads or writes state', () => {
    const services = new Set(own.filter(isStore).map(({ service }) => service));
    expect(services.size).toBeGreaterThan(0);
    const exceptions = new Set([
      // The simulated provider stands for an external system with its own database.
      'payments/simulated-provider.ts',
      // The jobs store their progress, and the e-mail sender stores the sent e-mails.
      'history/reason-erasure.ts',
      'history/history-rebuild.ts',
      'notifications/email-sender.ts',
    ]);
    const others = own.filter(
      (source) => services.has(source.service) && !isStore(source) && !exceptions.has(name(source)),
    );
    expect(offenders(others, (source) => /\bstate\.(get|getMany|write)\b/.test(source.text))).toEqual([]);
  });
});

/** The folders of `deploy/local` with code, in the direction of their imports. */
const LOCAL_FOLDERS = [
  'machine',
  'configuration',
  'programs',
  'infrastructure',
  'profiles',
  'system',
  'doctor',
  'commands',
];

describe('the layout of deploy', () => {
  const imports = readdirSync('deploy', { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.m?[jt]s$/.test(file))
    .map((file) => join('deploy', file))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, target = '']) => ({
        file,
        target: normalize(join(dirname(file), target)),
      })),
    );
  const localFolder = (file: string) => file.match(/^deploy\/local\/(.+?)\//)?.[1] ?? '';

  it('deploy imports only deploy and services', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter(({ target }) => !/^(deploy|services)\//.test(target))).toEqual([]);
  });

  it('every folder of deploy/local is in the list, and every TypeScript file is in a folder', () => {
    const entries = readdirSync('deploy/local', { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    expect(folders.toSorted()).toEqual([...LOCAL_FOLDERS, 'dapr', 'toolchain'].toSorted());
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    expect(files.filter((file) => file.endsWith('.ts'))).toEqual([]);
  });

  it('a folder of deploy/local imports only itself and the folders before it', () => {
    const rank = (file: string) => LOCAL_FOLDERS.indexOf(localFolder(file));
    const within = imports.filter(({ file, target }) => localFolder(file) && localFolder(target));
    expect(within.filter(({ file, target }) => rank(target) > rank(file))).toEqual([]);
  });
});
