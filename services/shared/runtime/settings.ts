import { isIP } from 'node:net';
import { z } from 'zod';

/**
 * Schemas of environment variables. Each schema parses strictly and has an example. Messages never contain the value, which
 * may be a secret (services/decisions/0040-strict-settings.md).
 */

/**
 * A variable that `schema` parses.
 *
 * @param example a valid value; `loadConfig` shows it with the problem
 */
export function setting<Output>(example: string, schema: z.ZodType<Output, string>) {
  const variable = z.unknown().transform((text, context): Output => {
    const read = text === undefined ? undefined : schema.safeParse(text);
    if (read?.success) return read.data;
    const problems = read?.error.issues.map(problemOf) ?? ['is missing'];
    for (const message of new Set(problems))
      context.addIssue({ code: 'custom', message, params: { example } });
    return z.NEVER;
  });
  // The documents show the form of the text.
  return variable.meta({ text: schema });
}

/** The message of an issue. In a list, it names the position of the entry. */
function problemOf({ path: [position], message }: z.core.$ZodIssue): string {
  return typeof position === 'number' ? `entry ${position + 1} ${message}` : message;
}

/** Marks a variable that the configuration store can change at run time (services/decisions/0131-run-time-configuration.md). */
export const live = <Schema extends z.ZodType>(schema: Schema): Schema => schema.meta({ live: true });

/** An integer from `min` to `max` in decimal digits. */
export function integer({ min, max, example }: { min: number; max: number; example: number }) {
  const rule = `must be a whole number from ${min} to ${max}, in digits without a unit`;
  return setting(
    String(example),
    z
      .string()
      .regex(/^(0|[1-9]\d{0,14})$/, rule)
      .transform(Number)
      .pipe(z.number().min(min, rule).max(max, rule)),
  );
}

/** A share from 0 to 1 in decimal digits, such as `0.1`. */
export const ratio = (example: number) =>
  setting(
    String(example),
    z
      .string()
      .regex(/^(0|1|0?\.\d{1,9}|1\.0+)$/, 'must be a number from 0 to 1, such as 0.1')
      .transform(Number),
  );

/** A number of days, with decimals for a part of a day. */
export const days = (example: number) =>
  setting(
    String(example),
    z
      .string()
      .regex(/^\d{1,4}(\.\d{1,9})?$/, 'must be a number of days up to 9999, such as 14 or 0.5')
      .transform(Number),
  );

/** A port to listen on or to connect to. */
export const port = (example: number) => integer({ min: 1, max: 65_535, example });

/** A list with commas. Blanks around an entry are ignored, and duplicates are removed. */
export function list<Item>(example: string, item: z.ZodType<Item, string>) {
  const split = (text: string) =>
    text
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean);
  return setting(
    example,
    z
      .string()
      .transform(split)
      .pipe(z.array(item).min(1, 'has no entry'))
      .transform((items) => [...new Set(items)]),
  );
}

/** A token for a header: visible ASCII characters, because `fetch` and Node.js reject all others at each call. */
export const token = setting(
  'the-output-of-openssl-rand-hex-24',
  z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must consist of visible ASCII characters, without blanks or line breaks'),
);

const HOST_NAME =
  /^(?=.{1,253}$)([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)*(?!\d+$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/i;

/** An IP address or a host name to listen on. */
export const host = (example: string) =>
  setting(
    example,
    z
      .string()
      .refine(
        (text) => isIP(text) > 0 || HOST_NAME.test(text),
        'must be an IP address or a host name, without scheme, brackets and port',
      ),
  );

/**
 * A URL with a host and without a fragment.
 *
 * @param options.schemes the allowed schemes, such as `http`
 * @param options.problem returns what else is wrong with a URL
 */
export function url(options: {
  example: string;
  schemes: readonly string[];
  problem?: (parsed: URL) => string | undefined;
}) {
  const { example, schemes, problem } = options;
  const begins = schemes.map((scheme) => `${scheme}://`).join(' or ');
  const rule = `must be a URL: ${begins}, a host, and what may follow; special characters are percent-encoded`;
  return setting(
    example,
    z.string().superRefine((text, context) => {
      const parsed = parsedUrl(text, schemes);
      const message = parsed ? (fragmentProblem(parsed) ?? problem?.(parsed)) : rule;
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    }),
  );
}

/** Parses a URL with one of the schemes. Without this check, `localhost:3000` would be a URL of the scheme `localhost`. */
function parsedUrl(text: string, schemes: readonly string[]): URL | undefined {
  const begins = schemes.some((scheme) => text.toLowerCase().startsWith(`${scheme}://`));
  if (!begins || /\s/.test(text) || !URL.canParse(text)) return undefined;
  const parsed = new URL(text);
  return parsed.hostname ? parsed : undefined;
}

const fragmentProblem = ({ hash }: URL) =>
  hash === '' ? undefined : 'must have no fragment; a # in a password is written as %23';

/**
 * An origin in the form of the `Origin` header (https://fetch.spec.whatwg.org/#origin-header): a scheme, a host, and a port
 * unless it is the default port. Capital letters, a default port and a slash at the end are normalized.
 */
export const origin = z.string().transform((text, context) => {
  const parsed = parsedUrl(text, ['http', 'https']);
  const message = originProblem(parsed);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
  return parsed?.origin ?? z.NEVER;
});

function originProblem(parsed: URL | undefined): string | undefined {
  if (!parsed) return 'must be http:// or https://, a host, and a port unless it is the default port';
  const { pathname, search, hash, hostname } = parsed;
  if (hostname.includes('*')) return 'must name one host: wildcards are not supported';
  if (!/^([a-z\d._-]+|\[[a-f\d:.]+\])$/.test(hostname)) return 'must have a host name that browsers accept';
  if (hasCredentials(parsed)) return 'must have no user and no password: an origin has none';
  if (pathname !== '/' || search !== '' || hash !== '')
    return 'must end after the host or port: an origin has no path, no query and no fragment';
  return undefined;
}

export const hasCredentials = ({ username, password }: URL): boolean => username !== '' || password !== '';
