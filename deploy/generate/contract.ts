import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICES } from '../../services/services.ts';
import { contractDocuments } from './contract-documents.ts';
import { formatted } from './generated.ts';

/**
 * `npm run contract -- payments DIR`: writes the OpenAPI and the AsyncAPI document of a service into a folder, so that the service
 * can be written in another language (services/CONTRACT.md).
 */
const [name, folder = 'contract'] = process.argv.slice(2);
const service = SERVICES.find((one) => one.name === name);
if (!service) {
  console.error(`Name a service: ${SERVICES.map((one) => one.name).join(', ')}.`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
for (const [file, document] of Object.entries(contractDocuments(service)))
  writeFileSync(join(folder, file), await formatted(join(folder, file), JSON.stringify(document)));
console.log(`Written: ${folder}/openapi.json and ${folder}/asyncapi.json.`);
