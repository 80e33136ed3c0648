import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asyncApi } from '../../services/shared/api-docs/asyncapi.ts';
import { openApi } from '../../services/shared/api-docs/openapi.ts';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import type { Edit } from './edit.ts';

/** The implementations in other languages, by the folders that have a copy of the documents. */
const TWINS: Readonly<Record<string, string>> = {
  payments: 'tests/polyglot/payments/contract',
  inventory: 'tests/polyglot/inventory/contract',
};

/** The documents of a service, by the names of their files: what `/openapi.json` and `/asyncapi.json` of the service return. */
export const contractDocuments = (service: ServiceDescription): Readonly<Record<string, unknown>> => ({
  'openapi.json': openApi([service], 'internal'),
  'asyncapi.json': asyncApi([service]),
});

export const contractEdits = (root: string, services: readonly ServiceDescription[]): Edit[] => [
  ...services.flatMap((service) => {
    const folder = TWINS[service.name];
    return folder === undefined ? [] : documentEditsOf(folder, service);
  }),
  // The twin in Go can embed only what is in its own folder.
  [
    'tests/polyglot/inventory/contract/catalogue.json',
    () => readFileSync(join(root, 'services/inventory/catalogue.json'), 'utf8'),
  ],
];

const documentEditsOf = (folder: string, service: ServiceDescription): Edit[] =>
  Object.entries(contractDocuments(service)).map(([file, document]) => [
    `${folder}/${file}`,
    () => JSON.stringify(document, null, 2),
  ]);
