import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';

type Json = Record<string, unknown>;

const addFormats = addFormatsModule as unknown as (ajv: Ajv | Ajv2020) => void;

/** What is wrong with a value by a schema; undefined: nothing. */
export type Check = (schema: Json, value: unknown) => string | undefined;

/** Checks by the schemas of an OpenAPI 3.1 document, which refer to its components. */
export function openApiCheck(document: { components: { schemas: Record<string, Json> } }): Check {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  for (const [name, schema] of Object.entries(document.components.schemas))
    ajv.addSchema(schema, `#/components/schemas/${name}`);
  return checkWith(ajv);
}

/** Checks by the schemas of an AsyncAPI document: JSON Schema draft 7. */
export function asyncApiCheck(): Check {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  return checkWith(ajv);
}

const checkWith =
  (ajv: Ajv | Ajv2020): Check =>
  (schema, value) =>
    ajv.validate(schema, value) ? undefined : ajv.errorsText();
