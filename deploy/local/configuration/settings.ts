import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { SERVICES } from '../../../services/services.ts';
import {
  baseConfig,
  loadConfig,
  problemsOf,
  wrongEnvironment,
} from '../../../services/shared/runtime/config.ts';
import { hasCredentials, origin, setting, token, url } from '../../../services/shared/runtime/settings.ts';
import { adminConfig, bothOrNone } from '../../../services/users/config.ts';
import { home } from '../machine/paths.ts';
import { portOffsetSetting } from './port-offset.ts';
import type { Template } from './template.ts';

type Env = Record<string, string | undefined>;

/** The environment variables of the commands in package.json. */
export const settingsSchema = z
  .object({
    PORT_OFFSET: portOffsetSetting,
    /** The folder for downloaded and built programs. A relative path starts at the folder of the call. */
    SIDECART_CACHE_DIR: setting('./cache', z.string()).optional(),
    /** https://specifications.freedesktop.org/basedir-spec/latest/ allows no relative path. */
    XDG_CACHE_HOME: setting(
      '/home/ada/.cache',
      z.string().refine(isAbsolute, 'must be an absolute path'),
    ).optional(),
    /** The parent of `dapr/releases/download/...` and `cli/releases/download/...` for dapr-release.ts. */
    DAPR_RELEASES: url({
      example: 'https://mirror.example/dapr',
      schemes: ['https', 'http'],
      problem: releasesProblem,
    }).optional(),
    /** The components of a locally built daprd: those of the component files, or all. */
    DAPR_COMPONENTS: setting('all', z.enum(['used', 'all'])).optional(),
    /** The address of the system for `npm run demo`. */
    SIDECART_API_URL: setting('http://localhost:8080', origin).optional(),
    /** The access token of an administrator, for `npm run doctor`. */
    SIDECART_ACCESS_TOKEN: token.optional(),
    LOG_LEVEL: baseConfig.shape.LOG_LEVEL,
    ...adminConfig,
  })
  .check(...bothOrNone);

function releasesProblem(parsed: URL): string | undefined {
  if (hasCredentials(parsed)) return 'must have no user and no password: credentials are not sent';
  return parsed.search === '' ? undefined : 'must have no query, because release paths are appended';
}

const HOME_MISSING =
  'HOME: is missing, and this user has no entry in /etc/passwd. Go, npm and Dapr need a home folder. For example: HOME=/tmp/home';

const CONFIGS = new Map(SERVICES.map(({ name, config }) => [name, config]));

/**
 * The settings of a command.
 *
 * @param template its services get the same environment, so their variables are checked as well. Otherwise a wrong variable of a
 *   service would be noticed only after two minutes, without a reason from `dapr run`.
 * @throws Error naming every variable that is missing or wrong, as `loadConfig` does
 */
export function readSettings(
  template?: Template,
  env: Env = process.env,
  homeFolder = home,
): z.infer<typeof settingsSchema> {
  const problems = [
    ...(homeFolder === '' ? [HOME_MISSING] : []),
    ...problemsOf(settingsSchema, env),
    ...(template ? serviceProblems(template, env) : []),
  ];
  if (problems.length > 0) throw wrongEnvironment([...new Set(problems)]);
  return loadConfig(settingsSchema, env);
}

function serviceProblems({ common, apps }: Template, env: Env): string[] {
  return apps.flatMap(({ appID, command, env: own }) => {
    const schema = command.includes(`dist/services/${appID}/main.js`) ? CONFIGS.get(appID) : undefined;
    if (!schema) return [];
    const fromTemplate = { ...common.env, ...own };
    // Ports and tokens are added at the start, so they are missing in both cases.
    const usual = problemsOf(schema, fromTemplate);
    return problemsOf(schema, { ...env, ...fromTemplate }).filter((line) => !usual.includes(line));
  });
}
