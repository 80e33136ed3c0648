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
  assertNotConsumed(Object.keys(options), env);
  return parseArgs({ options, args }).values;
}

/** npm consumes the option of `npm start --profile=x`, and passes it on as its own variable. */
function assertNotConsumed(options: readonly string[], env: Record<string, string | undefined>): void {
  const consumed = options.find((name) => env[`npm_config_${name}`] !== undefined);
  if (consumed !== undefined)
    throw new Error(
      `npm consumed the option --${consumed}. Put -- before the options: npm start -- --${consumed} ...`,
    );
}

/** Takes `--name value` out of arguments for another program, which has its own options. @throws Error if npm has consumed it */
export function takeOption(name: string, args: readonly string[] = process.argv.slice(2)) {
  assertNotConsumed([name], process.env);
  const at = args.indexOf(`--${name}`);
  if (at === -1) return { value: undefined, others: [...args] };
  return { value: args[at + 1] ?? '', others: args.toSpliced(at, 2) };
}

/** @throws Error naming the option if its value is no number above 0 */
export function parsePositiveNumber(option: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new Error(`${option} must be a number greater than 0. For example: ${option} 2`);
}
