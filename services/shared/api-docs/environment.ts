import { z } from 'zod';

/** An environment variable of a service. */
export interface Variable {
  name: string;
  description: string;
  required: boolean;
  /** The value of an unset variable. */
  default?: unknown;
  /** A valid value. */
  example?: string;
  /** What a value must be. */
  rule?: string;
  /** The JSON Schema of the text, as far as it expresses the rule. */
  schema?: Record<string, unknown>;
  /** The bounds of a number. */
  bounds?: { minimum?: number | undefined; maximum?: number | undefined };
  /** The configuration store can change it at run time. */
  live?: true;
}

/** Lists the variables of a config schema, for implementations of a service in other languages. */
export function environmentOf(config: z.ZodType): Variable[] {
  return Object.entries(shapeOf(config)).map(([name, schema]) => {
    const unset = schema.safeParse(undefined);
    const { example, rule } = rejectionOf(schema);
    return {
      name,
      description: schema.description ?? '',
      required: !unset.success,
      ...(unset.data === undefined ? {} : { default: unset.data }),
      ...(example === undefined ? {} : { example }),
      ...(rule === undefined ? {} : { rule }),
      ...textSchemaOf(schema),
      ...(isLive(schema) ? { live: true as const } : {}),
    };
  });
}

/** The names of the variables that the configuration store can change at run time. */
export function liveVariablesOf(config: z.ZodType): string[] {
  return Object.entries(shapeOf(config)).flatMap(([name, schema]) => (isLive(schema) ? [name] : []));
}

const isLive = (schema: z.ZodType) => schema.meta()?.['live'] === true;

/** The fields of an object schema, below its checks and transformations. */
function shapeOf(schema: z.core.$ZodType): Record<string, z.ZodType> {
  if (schema instanceof z.ZodPipe) return shapeOf(schema.in);
  return schema instanceof z.ZodObject ? schema.shape : {};
}

/** What `setting` noted about the text, below its default. */
function textSchemaOf(schema: z.core.$ZodType): Pick<Variable, 'schema' | 'bounds'> {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional)
    return textSchemaOf(schema.def.innerType);
  const text = z.globalRegistry.get(schema)?.['text'];
  if (!(text instanceof z.ZodType)) return {};
  const { $schema: _, ...described } = z.toJSONSchema(text, { io: 'input', unrepresentable: 'any' });
  const { type, minimum, maximum } = z.toJSONSchema(text, { io: 'output', unrepresentable: 'any' });
  return { schema: described, ...(type === 'number' ? { bounds: { minimum, maximum } } : {}) };
}

/** The example and the rule of `setting`, which a rejected value reports. No variable accepts a control character. */
function rejectionOf(schema: z.ZodType): { example?: string; rule?: string } {
  const [issue] = schema.safeParse('\u0000').error?.issues ?? [];
  const example: unknown = issue?.code === 'custom' ? issue.params?.['example'] : undefined;
  return issue && typeof example === 'string' ? { example, rule: issue.message } : {};
}
