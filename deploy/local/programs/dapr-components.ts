import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { ensureFolder, root } from '../machine/paths.ts';

/** The components of a locally built daprd: services/decisions/0110-first-start.md. */

const COMPONENT_FOLDERS = ['components', 'deploy/local/profiles'];

/** The default of a sidecar without nameResolution in its Configuration. */
const DEFAULT_NAME_RESOLUTION = 'nameresolution.mdns';

/** A file that names a component: a Component or a Configuration. A profile may have only a part of a Configuration. */
const componentSourceSchema = z.object({
  kind: z.string().optional(),
  spec: z.looseObject({
    type: z.string().optional(),
    nameResolution: z.object({ component: z.string() }).optional(),
  }),
});

/** The types that the component files and profiles name, such as `state.sqlite`. */
export function usedComponents(checkout = root): string[] {
  const types = COMPONENT_FOLDERS.map((folder) => join(checkout, folder)).flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.yaml'))
      .flatMap((name) => typesIn(readFileSync(join(folder, name), 'utf8'))),
  );
  return [...new Set([DEFAULT_NAME_RESOLUTION, ...types])].toSorted();
}

function typesIn(text: string): string[] {
  return parseAllDocuments(text).flatMap((document) => {
    const { success, data } = componentSourceSchema.safeParse(document.toJS());
    if (!success) return [];
    const { kind, spec } = data;
    return [
      ...(kind === 'Component' && spec.type ? [spec.type] : []),
      ...(spec.nameResolution ? [`nameresolution.${spec.nameResolution.component}`] : []),
    ];
  });
}

/** Distinguishes a daprd with these components from one with others. */
export function hashOfComponents(types: readonly string[]): string {
  return createHash('sha256').update(types.join()).digest('hex').slice(0, 12);
}

/**
 * Writes a Go module of daprd with only these components. It is a copy of Dapr's cmd/daprd, without the files of its package
 * `components` that register other types. A type without a file may be a pluggable component, which needs no code.
 *
 * @param options.source the folder of the module github.com/dapr/dapr
 * @param options.module the name of the written module
 */
export function writeDaprdModule(options: {
  source: string;
  types: readonly string[];
  module: string;
  into: string;
}): void {
  const { source, types, module, into } = options;
  const original = join(source, 'cmd/daprd');
  for (const [name, imported] of [
    ['main.go', 'app'],
    ['app/app.go', 'components'],
  ] as const) {
    const text = readFileSync(join(original, name), 'utf8');
    ensureFolder(into, dirname(name));
    writeFileSync(
      join(into, name),
      text.replace(`"github.com/dapr/dapr/cmd/daprd/${imported}"`, `"${module}/${imported}"`),
    );
  }
  const components = ensureFolder(into, 'components');
  for (const name of readdirSync(join(original, 'components'))) {
    const text = readFileSync(join(original, 'components', name), 'utf8');
    if (types.some((type) => registersType(name, text, type))) writeFileSync(join(components, name), text);
  }
}

/** Example: `middleware_http_oauth2.go` registers "oauth2" for `middleware.http.oauth2`. */
function registersType(file: string, text: string, type: string): boolean {
  const [, block = '', name = ''] = /^(middleware\.http|[^.]+)\.(.+)$/.exec(type) ?? [];
  return file.startsWith(`${block.replace('.', '_')}_`) && file.endsWith('.go') && text.includes(`"${name}"`);
}
