import { parseArgs, type ParseArgsConfig } from 'node:util';

/**
 * The arguments of a command, which has these options and takes nothing else.
 *
 * @throws Error naming an argument that it does not know, or that npm has kept for itself
 */
export function argumentsOf<const Options extends NonNullable<ParseArgsConfig['options']>>(
  options: Options,
  args: string[] = process.argv.slice(2),
  env: Record<string, string | undefined> = process.env,
) {
  // `npm start --profile=x` gives the option to npm, which passes it on as a variable of its own.
  const kept = Object.keys(options).find((name) => env[`npm_config_${name}`] !== undefined);
  if (kept !== undefined)
    throw new Error(
      `npm consumed the option --${kept}. Put -- before the options: npm start -- --${kept} ...`,
    );
  return parseArgs({ options, args }).values;
}

/** @throws Error naming the option where its value is no number above 0 */
export function amount(option: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new Error(`${option} must be a number greater than 0. For example: ${option} 2`);
}
