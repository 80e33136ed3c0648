import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { SERVICES } from '../../services/services.ts';
import { accessFiles } from '../kubernetes/manifests.ts';
import { componentEdits } from './components.ts';
import { containerEdits } from './containers.ts';
import { contractEdits } from './contract-documents.ts';
import { documentEdits } from './documents.ts';
import type { Edit } from './edit.ts';
import { observabilityEdits } from './observability.ts';

/**
 * All that follows from the list of services and their `api.ts`: the text of each file, by its path below `root`. A file that
 * has other parts keeps them.
 */
export async function generatedFiles(root: string): Promise<Map<string, string>> {
  const edits: Edit[] = [
    ...componentEdits(SERVICES),
    ...containerEdits(SERVICES),
    ...documentEdits(root, SERVICES),
    ...observabilityEdits(SERVICES),
    ...contractEdits(root, SERVICES),
    ...[...accessFiles()].map(([name, text]): Edit => [`deploy/kubernetes/base/access/${name}`, () => text]),
  ];
  return new Map(await Promise.all(edits.map(([file, edit]) => generated(root, file, edit))));
}

/** Formats a text as `npm run format` does. */
export async function formatted(path: string, text: string): Promise<string> {
  return format(text, { ...(await resolveConfig(path)), filepath: path });
}

async function generated(root: string, file: string, edit: Edit[1]): Promise<[string, string]> {
  const path = join(root, file);
  const text = edit(existsSync(path) ? readFileSync(path, 'utf8') : '');
  const isFormatted = /\.(ya?ml|md|json)$/.test(file) && !file.startsWith('deploy/kubernetes/base/access/');
  return [file, isFormatted ? await formatted(path, text) : text];
}
