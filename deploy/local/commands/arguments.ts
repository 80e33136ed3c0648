import { parseArgs, type ParseArgsConfig } from 'node:util';

/**
 * Parses the arguments of a command, which accepts only these options.
 *
 * @throws Error naming an argument that is unknown, or that npm has consumed
 */
export function parseArguments<const Options extends NonNullable<ParseArgsConfig['options']>>(
  options: Options,
  args: string[] = process.argv.slice(2),
  env: Record<string, string | undefined> = process.env,
) {
  // npm consumes the option of `npm start --profile=x`, and passes it on as its own variable.
  const consumed = Object.keys(options).find((name) => env[`npm_config_${name}`] !== undefined);
  if (consumed !== undefined)
    throw new Error(
      `npm consumed the option --${consumed}. Put -- before the options: npm start -- --${consumed} ...`,
    );
  return parseArgs({ options, args }).values;
}

/** @throws Error naming the option if its value is no number above 0 */
export function parsePositiveNumber(option: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new Error(`${option} must be a number greater than 0. For example: ${option} 2`);
}
