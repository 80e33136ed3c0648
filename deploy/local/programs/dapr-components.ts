import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { folder, root } from '../machine/paths.ts';

/** The components of a daprd that is built here: services/decisions/0110-first-start.md. */

const PLACES = ['components', 'deploy/local/profiles'];

/** What a sidecar takes where its Configuration has no nameResolution. */
const DEFAULT = 'nameresolution.mdns';

/** The two kinds of file that name a component; a profile's Configuration may be a part of one. */
const namesComponent = z.object({
  kind: z.string().optional(),
  spec: z.looseObject({
    type: z.string().optional(),
    nameResolution: z.object({ component: z.string() }).optional(),
  }),
});

/** The types that the component files and profiles name, such as `state.sqlite`. */
export function usedComponents(checkout = root): string[] {
  const types = PLACES.map((place) => join(checkout, place)).flatMap((place) =>
    readdirSync(place, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.yaml'))
      .flatMap((name) => typesIn(readFileSync(join(place, name), 'utf8'))),
  );
  return [...new Set([DEFAULT, ...types])].toSorted();
}

function typesIn(text: string): string[] {
  return parseAllDocuments(text).flatMap((document) => {
    const { success, data } = namesComponent.safeParse(document.toJS());
    if (!success) return [];
    const { kind, spec } = data;
    return [
      ...(kind === 'Component' && spec.type ? [spec.type] : []),
      ...(spec.nameResolution ? [`nameresolution.${spec.nameResolution.component}`] : []),
    ];
  });
}

/** Tells a daprd with these components from one with others. */
export function keyOf(types: readonly string[]): string {
  return createHash('sha256').update(types.join()).digest('hex').slice(0, 12);
}

/**
 * Writes daprd with these components into a Go module: Dapr's cmd/daprd without the files of its package `components` that
 * register others. A type that Dapr does not have may be a pluggable component, which needs none.
 *
 * @param options.source the folder of the module github.com/dapr/dapr
 * @param options.module the name of the one that it is written into
 */
export function writeDaprd(options: {
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
    folder(into, dirname(name));
    writeFileSync(
      join(into, name),
      text.replace(`"github.com/dapr/dapr/cmd/daprd/${imported}"`, `"${module}/${imported}"`),
    );
  }
  const components = folder(into, 'components');
  for (const name of readdirSync(join(original, 'components'))) {
    const text = readFileSync(join(original, 'components', name), 'utf8');
    if (types.some((type) => registers(name, text, type))) writeFileSync(join(components, name), text);
  }
}

/** Such as `middleware_http_oauth2.go`, which registers "oauth2", for `middleware.http.oauth2`. */
function registers(file: string, text: string, type: string): boolean {
  const [, block = '', name = ''] = /^(middleware\.http|[^.]+)\.(.+)$/.exec(type) ?? [];
  return file.startsWith(`${block.replace('.', '_')}_`) && file.endsWith('.go') && text.includes(`"${name}"`);
}
