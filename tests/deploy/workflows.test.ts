import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readOutput } from '../../deploy/local/machine/processes.ts';
import { ACCESS } from '../../services/access.ts';
import { findOrBuildActionlint } from '../support/actionlint.ts';

/** Compares .github/workflows with services/decisions/0090-pipelines.md. */

const FOLDER = '.github/workflows';
const SCRIPTS = 'deploy/pipeline';

const step = z.looseObject({ uses: z.string().optional(), run: z.string().optional() });
const job = z.looseObject({
  permissions: z.record(z.string(), z.string()).optional(),
  'timeout-minutes': z.number().optional(),
  uses: z.string().optional(),
  steps: z.array(step).default([]),
  strategy: z.looseObject({ matrix: z.record(z.string(), z.array(z.string())) }).optional(),
});
const workflow = z.looseObject({
  on: z.record(z.string(), z.unknown()),
  permissions: z.strictObject({}),
  concurrency: z.looseObject({ group: z.string() }),
  jobs: z.record(z.string(), job),
});

const texts = readdirSync(FOLDER).map((file) => ({ file, text: readFileSync(`${FOLDER}/${file}`, 'utf8') }));
const scripts = readdirSync(SCRIPTS)
  .filter((file) => file.endsWith('.sh'))
  .map((file) => ({ file, text: readFileSync(`${SCRIPTS}/${file}`, 'utf8') }));
const workflows = texts.map(({ file, text }) => ({ file, ...workflow.parse(parse(text)) }));
const jobs = workflows.flatMap(({ file, jobs: own }) =>
  Object.entries(own).map(([name, one]) => ({ name: `${file}: ${name}`, ...one })),
);
const steps = jobs.flatMap(({ name, steps: own }) => own.map((one) => ({ name, ...one })));
const namesOf = (offending: { name: string }[]) => offending.map(({ name }) => name);

describe('the workflows', () => {
  let actionlint: string;
  beforeAll(async () => {
    actionlint = await findOrBuildActionlint();
  }, 300_000);

  it('When actionlint checks them, then it finds nothing', () => {
    const files = texts.map(({ file }) => `${FOLDER}/${file}`);
    const { status, stdout, stderr } = spawnSync(actionlint, files, { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('When actionlint checks a broken one, then it finds the error', () => {
    const input = texts[0]!.text.replace('runs-on:', 'runs-at:');
    expect(spawnSync(actionlint, ['-'], { input, encoding: 'utf8' }).stdout).toContain('runs-at');
  });

  it('When an action is used, then it is pinned to a commit, with its version in a comment', () => {
    const uses = texts.flatMap(({ file, text }) =>
      [...text.matchAll(/uses: (.+)/g)].map(([, used = '']) => ({ name: `${file}: ${used}`, used })),
    );
    const pinned = /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
    const own = /^\.\/\.github\/workflows\/[a-z]+\.yml$/;
    expect(uses.length).toBeGreaterThan(10);
    expect(namesOf(uses.filter(({ used }) => !pinned.test(used) && !own.test(used)))).toEqual([]);
  });

  it('When an action is used twice, then at the same commit', () => {
    const commits = new Map<string, Set<string>>();
    for (const [action = '', commit = ''] of steps.flatMap(({ uses }) => (uses ? [uses.split('@')] : [])))
      commits.set(action, (commits.get(action) ?? new Set()).add(commit));
    expect([...commits].filter(([, used]) => used.size > 1).map(([action]) => action)).toEqual([]);
  });

  it('When a job runs, then it has explicit permissions and a timeout', () => {
    expect(namesOf(jobs.filter(({ permissions }) => permissions === undefined))).toEqual([]);
    const withoutTimeout = ({ uses, 'timeout-minutes': end }: (typeof jobs)[number]) =>
      !uses && end === undefined;
    expect(namesOf(jobs.filter(withoutTimeout))).toEqual([]);
  });

  it('When a job may write, then only signatures', () => {
    const writes = jobs.filter(({ permissions = {} }) => Object.values(permissions).includes('write'));
    expect(namesOf(writes)).toEqual(['images.yml: sign', 'main.yml: images']);
    for (const { permissions } of writes) expect(permissions).toMatchObject({ 'id-token': 'write' });
    for (const { permissions = {} } of jobs)
      expect(Object.keys(permissions).filter((key) => !['contents', 'id-token'].includes(key))).toEqual([]);
  });

  it('When a workflow runs code of a fork, then it has no secrets', () => {
    const events = workflows.flatMap(({ on }) => Object.keys(on));
    expect(events).not.toContain('pull_request_target');
    expect(events).not.toContain('workflow_run');
    const open = workflows.filter(({ on }) => 'pull_request' in on).map(({ file }) => file);
    expect(open).toEqual(['verify.yml']);
    expect(texts.find(({ file }) => file === 'verify.yml')?.text).not.toContain('secrets.');
  });

  it('When a step runs a shell, then its script has no expressions', () => {
    expect(namesOf(steps.filter(({ run }) => run?.includes('${{')))).toEqual([]);
  });

  it('When two workflows run, then they are in different concurrency groups', () => {
    const groups = workflows.map(({ concurrency }) => concurrency.group.split('-')[0]);
    expect(new Set(groups).size).toBe(workflows.length);
  });

  it('When images are built, scanned and deployed, then the list has every service', () => {
    const images = workflows.find(({ file }) => file === 'main.yml')?.jobs['images'];
    const services = ACCESS.map(({ app }) => app).toSorted();
    expect(images?.strategy?.matrix['service']?.toSorted()).toEqual(services);
    const deployed = /for service in (.+); do/.exec(readFileSync(`${SCRIPTS}/images.sh`, 'utf8'))?.[1];
    expect(deployed?.split(' ').toSorted()).toEqual(services);
  });

  it('When a command names most services, then it names every service', () => {
    const services = ACCESS.map(({ app }) => app);
    const files = ['deploy', 'tests']
      .flatMap((folder) =>
        readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
      )
      .filter((file) => /\.(md|sh)$|make-secrets$/.test(file));
    const lists = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\b(?:[a-z]+ ){5,}[a-z]+/g)].map(([words]) => ({
        file,
        missing: services.filter((service) => !words.split(' ').includes(service)),
      })),
    );
    const commands = lists.filter(({ missing }) => missing.length < services.length / 2);
    expect(commands.map(({ file }) => file)).toEqual(
      expect.arrayContaining(['deploy/pipeline/images.sh', 'deploy/kubernetes/make-secrets']),
    );
    expect(commands.filter(({ missing }) => missing.length > 0)).toEqual([]);
  });

  it('When a registry is needed, then its name comes from the repository', () => {
    const registry =
      /\b(ghcr|gcr|quay|docker|pkg|mcr|ecr|azurecr)\.(io|dev|com|microsoft)|registry[\w-]*\.[a-z]{2,}/i;
    expect([...texts, ...scripts].filter(({ text }) => registry.test(text)).map(({ file }) => file)).toEqual(
      [],
    );
  });

  it('When a workflow runs a script, then the script exists and is executable', () => {
    const run = steps.flatMap(({ run: text = '' }) => [...text.matchAll(/deploy\/pipeline\/[\w-]+\.sh/g)]);
    expect(run.length).toBeGreaterThan(5);
    for (const [path] of run) expect(() => accessSync(path, constants.X_OK)).not.toThrow();
  });

  it.runIf(readOutput('shellcheck', '--version'))(
    'When shellcheck checks the scripts, then it finds nothing',
    () => {
      const files = scripts.map(({ file }) => `${SCRIPTS}/${file}`);
      expect(spawnSync('shellcheck', files, { encoding: 'utf8' }).stdout).toBe('');
    },
  );
});
