import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import { readComponents, type Files } from '../configuration/component-files.ts';
import type { Ports } from '../configuration/ports.ts';
import { readTemplate, type App, type Template } from '../configuration/template.ts';
import { root } from '../machine/paths.ts';
import type { Profile } from '../profiles/profile.ts';

/**
 * Writes a copy of dapr.yaml and components/ for a system on other ports, in another folder or with a profile. That system can
 * run beside the one of the committed files. All paths in the copy are absolute.
 *
 * @returns the template and the path of its file
 */
export function renderTemplate(options: {
  offset: number;
  ports: Ports;
  dataDir: string;
  profile?: Profile | undefined;
  /** Whether the sidecars trace nothing. */
  untraced?: boolean | undefined;
  /** The commands of services in other languages, by app id. Everything else of their entry stays. */
  commands?: Readonly<Record<string, readonly string[]>>;
}): { template: Template; file: string } {
  const { offset, ports, dataDir, profile, untraced = false, commands = {} } = options;
  const rendered = join(dataDir, 'rendered');
  const { rewrite, assertAllReplaced } = createRewriter([
    // First, because a shifted port may equal this number.
    ['8079', String(ports.operator)],
    ...(profile?.broker ? [] : [['localhost:6379', `localhost:${ports.redis}`] as const]),
    ...(profile?.replacements(ports) ?? []),
    ["'1025'", `'${ports.smtp}'`],
    ['localhost:9411', `localhost:${ports.zipkin}`],
    ['50051', String(ports.grpc)],
    ...(untraced ? [["samplingRate: '1'", "samplingRate: '0'"] as const] : []),
    ['file:.sidecart/', `${sqliteUri(dataDir)}/`],
  ]);
  const rewriteEnv = (env: Record<string, string>) =>
    Object.fromEntries(Object.entries(env).map(([name, value]) => [name, rewrite(value)]));
  const components = readComponents();
  writeResources(rendered, profile?.applyOverlay(components) ?? components, rewrite);
  const committed = readTemplate();
  const template: Template = {
    ...committed,
    common: {
      ...committed.common,
      resourcesPaths: committed.common.resourcesPaths.map((path) => join(rendered, path)),
      configFilePath: join(rendered, committed.common.configFilePath),
      runtimePath: join(root, committed.common.runtimePath),
      schedulerHostAddress: `localhost:${ports.scheduler}`,
      env: rewriteEnv(committed.common.env),
    },
    apps: committed.apps.map((app) => ({
      ...app,
      appDirPath: root,
      appPort: app.appPort + offset,
      daprHTTPPort: app.daprHTTPPort + offset,
      daprGRPCPort: app.daprGRPCPort + offset,
      daprInternalGRPCPort: app.daprInternalGRPCPort + offset,
      metricsPort: app.metricsPort + offset,
      ...(app.placementHostAddress ? { placementHostAddress: `localhost:${ports.placement}` } : {}),
      command: commandOf(app, commands[app.appID]),
      ...(app.env ? { env: rewriteEnv(app.env) } : {}),
    })),
  };
  assertAllReplaced();
  const file = join(rendered, 'dapr.yaml');
  writeFileSync(file, stringify(template));
  return { template, file };
}

/** @param replacement the command of another implementation, which needs the tokens, too */
export const commandOf = ({ command }: App, replacement: readonly string[] | undefined): string[] =>
  replacement ? [...command.slice(0, 1), ...replacement] : command;

/**
 * The folder as a URI for SQLite (https://www.sqlite.org/uri.html), because daprd makes a URI of every connection string. A
 * plain path would end at its first `#` or `?`. In the Configuration, daprd replaces a name after a dollar sign.
 */
function sqliteUri(path: string): string {
  return pathToFileURL(path).href.replaceAll('$', '%24');
}

/** Replaces values that are valid only for the system of the committed files. */
function createRewriter(replacements: readonly (readonly [from: string, to: string])[]) {
  const unused = new Set(replacements.map(([from]) => from));
  return {
    rewrite: (text: string): string =>
      replacements.reduce((rewritten, [from, to]) => {
        if (rewritten.includes(from)) unused.delete(from);
        return rewritten.replaceAll(from, to);
      }, text),
    /** @throws Error if the files do not contain a replaced value, because then the list of replacements is outdated */
    assertAllReplaced: (): void => {
      if (unused.size > 0)
        throw new Error(`dapr.yaml and components/ do not contain ${[...unused].join(', ')}`);
    },
  };
}

function writeResources(rendered: string, files: Files, rewrite: (text: string) => string): void {
  // Otherwise the sidecars would still read a file that was removed from components/.
  rmSync(join(rendered, 'components'), { recursive: true, force: true });
  for (const [name, text] of files) {
    const target = join(rendered, 'components', name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, rewrite(text));
  }
}
