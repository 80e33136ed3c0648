import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import { readComponents, type Files } from '../configuration/component-files.ts';
import type { Ports } from '../configuration/ports.ts';
import { readTemplate, type Template } from '../configuration/template.ts';
import { root } from '../machine/paths.ts';
import type { Profile } from '../profiles/profile.ts';

/**
 * A copy of dapr.yaml and components/ for a system on other ports, in another folder or with a profile, so that it can
 * run beside the one that the committed files describe. Paths in it are absolute.
 *
 * @returns the template and the path of its file
 */
export function renderTemplate(options: {
  offset: number;
  ports: Ports;
  dataDir: string;
  profile?: Profile | undefined;
}): { template: Template; file: string } {
  const { offset, ports, dataDir, profile } = options;
  const rendered = join(dataDir, 'rendered');
  const { rewrite, demandAllUsed } = rewriter([
    // First, as what stands for the others may end up as this very number.
    ['8079', String(ports.operator)],
    ...(profile?.broker ? [] : [['localhost:6379', `localhost:${ports.redis}`] as const]),
    ...(profile?.replacements(ports) ?? []),
    ["'1025'", `'${ports.smtp}'`],
    ['localhost:9411', `localhost:${ports.zipkin}`],
    ['50051', String(ports.grpc)],
    ['file:.sidecart/', `${sqliteUri(dataDir)}/`],
  ]);
  const rewriteEnv = (env: Record<string, string>) =>
    Object.fromEntries(Object.entries(env).map(([name, value]) => [name, rewrite(value)]));
  const components = readComponents();
  writeResources(rendered, profile?.layOver(components) ?? components, rewrite);
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
      ...(app.env ? { env: rewriteEnv(app.env) } : {}),
    })),
  };
  demandAllUsed();
  const file = join(rendered, 'dapr.yaml');
  writeFileSync(file, stringify(template));
  return { template, file };
}

/**
 * A folder as SQLite reads it in a URI (https://www.sqlite.org/uri.html), which daprd makes of every connection string: a
 * plain path would end at its first `#` or `?`. In the file of the Configuration, daprd replaces what follows a dollar sign.
 */
function sqliteUri(path: string): string {
  return pathToFileURL(path).href.replaceAll('$', '%24');
}

/** Replaces what is meant for the one system that the committed files describe. */
function rewriter(replacements: readonly (readonly [from: string, to: string])[]) {
  const unused = new Set(replacements.map(([from]) => from));
  return {
    rewrite: (text: string): string =>
      replacements.reduce((rewritten, [from, to]) => {
        if (rewritten.includes(from)) unused.delete(from);
        return rewritten.replaceAll(from, to);
      }, text),
    /** @throws Error where a value to be replaced is nowhere: the files have changed, and this has to follow */
    demandAllUsed: (): void => {
      if (unused.size > 0)
        throw new Error(`dapr.yaml and components/ do not contain ${[...unused].join(', ')}`);
    },
  };
}

function writeResources(rendered: string, files: Files, rewrite: (text: string) => string): void {
  // A file that there is no longer would still be read.
  rmSync(join(rendered, 'components'), { recursive: true, force: true });
  for (const [name, text] of files) {
    const target = join(rendered, 'components', name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, rewrite(text));
  }
}
