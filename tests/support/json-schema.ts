import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';

type Json = Record<string, unknown>;

const addFormats = addFormatsModule as unknown as (ajv: Ajv | Ajv2020) => void;

/** Returns the schema violations of a value, or undefined if there are none. */
export type SchemaCheck = (schema: Json, value: unknown) => string | undefined;

/** Checks values against schemas of an OpenAPI 3.1 document, which may refer to its components. */
export function createOpenApiCheck(document: { components: { schemas: Record<string, Json> } }): SchemaCheck {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  for (const [name, schema] of Object.entries(document.components.schemas))
    ajv.addSchema(schema, `#/components/schemas/${name}`);
  return checkWith(ajv);
}

/** Checks values against schemas of an AsyncAPI document, which are JSON Schema draft 7. */
export function createAsyncApiCheck(): SchemaCheck {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  return checkWith(ajv);
}

const checkWith =
  (ajv: Ajv | Ajv2020): SchemaCheck =>
  (schema, value) =>
    ajv.validate(schema, value) ? undefined : ajv.errorsText();
