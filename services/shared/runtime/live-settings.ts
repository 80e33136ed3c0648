import type { z } from 'zod';
import { liveVariablesOf } from '../api-docs/environment.ts';
import type { Sidecar } from '../dapr/sidecar.ts';
import type { Logger } from '../telemetry/logger.ts';
import { withoutTrace } from '../telemetry/request-context.ts';
import { loadConfig, problemsOf } from './config.ts';

/** The settings of a service, some of which the configuration store changes at run time. */
export interface LiveSettings<Config> {
  /** The environment, with the valid values of the configuration store in place of its own. */
  current: () => Config;
  /** Reads the configuration store once. @throws SidecarError if the store is unavailable; nothing has changed then */
  refresh: () => Promise<void>;
  /** Reads the configuration store now and every two seconds, less often while it is unavailable, until `stop`. */
  start: () => void;
  stop: () => Promise<void>;
}

const INTERVAL_MS = 2_000;
const MAX_INTERVAL_MS = 30_000;
/** A sidecar that starts beside the service does not answer at first. */
const FAILURES_BEFORE_WARNING = 3;

/**
 * Live settings, by keys such as `gateway/RATE_LIMIT_API`: https://docs.dapr.io/developing-applications/building-blocks/configuration/.
 * Why it polls: services/decisions/0131-run-time-configuration.md.
 *
 * @param options.config the settings of `env`
 * @param options.onChange receives each new configuration
 */
export function createLiveSettings<Config>(options: {
  service: string;
  schema: z.ZodType<Config>;
  env: Record<string, string | undefined>;
  config: Config;
  sidecar: Pick<Sidecar, 'readConfiguration'>;
  log: Logger;
  onChange?: (config: Config) => void;
}): LiveSettings<Config> {
  const { service, schema, env, sidecar, log, onChange } = options;
  const live = new Set(liveVariablesOf(schema));
  const accepted = new Map<string, string>();
  const rejected = new Map<string, string>();
  let { config } = options;
  let failures = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function problemOf(name: string, changed: Record<string, string | undefined>): string | undefined {
    if (!live.has(name)) return `${name}: is no setting that can change at run time.`;
    const problems = problemsOf(schema, changed);
    return problems.length > 0 ? problems.join(' ') : undefined;
  }

  /** @param value undefined if the store has no value */
  function change(name: string, value: string | undefined): void {
    if (value === rejected.get(name) && value !== undefined) return;
    rejected.delete(name);
    if (value === accepted.get(name)) return;
    const changed = { ...env, ...Object.fromEntries(accepted), [name]: value ?? env[name] };
    const problem = problemOf(name, changed);
    if (problem !== undefined) {
      if (value !== undefined) rejected.set(name, value);
      log.warn({ setting: name, problem }, 'setting rejected; the previous value stays');
      return;
    }
    if (value === undefined) accepted.delete(name);
    else accepted.set(name, value);
    config = loadConfig(schema, changed);
    onChange?.(config);
    log.info({ setting: name, value: value ?? 'as in the environment' }, 'setting changed');
  }

  async function refresh(): Promise<void> {
    const prefix = `${service}/`;
    const items = await withoutTrace(() => sidecar.readConfiguration());
    const stored = new Map(
      [...items].flatMap(([key, value]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
      ),
    );
    for (const name of new Set([...accepted.keys(), ...rejected.keys(), ...stored.keys()]))
      change(name, stored.get(name));
  }

  async function poll(): Promise<void> {
    try {
      await refresh();
      if (failures >= FAILURES_BEFORE_WARNING) log.info('the configuration store is available again');
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === FAILURES_BEFORE_WARNING)
        log.warn({ reason: String(error) }, 'the configuration store is unavailable; the settings stay');
    }
    const intervalMs = Math.min(INTERVAL_MS * 2 ** Math.max(0, failures - 1), MAX_INTERVAL_MS);
    if (!stopped) timer = setTimeout(() => void poll(), intervalMs).unref();
  }

  return {
    current: () => config,
    refresh,
    start: () => void poll(),
    stop() {
      stopped = true;
      clearTimeout(timer);
      return Promise.resolve();
    },
  };
}
