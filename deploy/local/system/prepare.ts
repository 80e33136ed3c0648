import { Listr } from 'listr2';
import { findOrInstallPrometheus } from '../infrastructure/prometheus.ts';
import { findOrInstallRedis } from '../infrastructure/redis.ts';
import { findOrDownloadZipkin } from '../infrastructure/zipkin.ts';
import type { Profile } from '../profiles/profile.ts';
import { findOrBuildDapr, type ControlPlaneProgram, type Dapr } from '../programs/dapr.ts';
import { titleOf, type Twin } from '../programs/twins.ts';

/** Whether each service already runs, so that its program is not needed. */
export interface RunningInfrastructure {
  redis: boolean;
  scheduler: boolean;
  placement: boolean;
  zipkin: boolean;
}

export interface PreparedPrograms {
  dapr: Dapr;
  /** Undefined if a Zipkin already runs. */
  zipkin: Awaited<ReturnType<typeof findOrDownloadZipkin>> | undefined;
  /** The commands of services in other languages, by app id. */
  commands: Readonly<Record<string, readonly string[]>>;
}

/** The programs of Dapr's control plane that a system starts, unless they run. */
export function controlPlane(
  running: Pick<RunningInfrastructure, 'scheduler' | 'placement'> = { scheduler: false, placement: false },
): ControlPlaneProgram[] {
  return (['scheduler', 'placement'] as const).filter((name) => !running[name]);
}

/** Finds, installs or builds the programs of a system, and shows the progress. */
export async function preparePrograms(
  logDir: string,
  running: RunningInfrastructure = { redis: false, scheduler: false, placement: false, zipkin: false },
  {
    profile,
    observability,
    twins = [],
  }: { profile?: Profile | undefined; observability?: boolean; twins?: readonly Twin[] } = {},
): Promise<PreparedPrograms> {
  const step = <T>(
    title: string,
    find: (onProgress: (step: string) => void) => Promise<T>,
    done: (found: T) => string,
  ) => ({
    title,
    task: async (context: Record<string, unknown>, task: { title: string; output: string }) => {
      const startedAt = performance.now();
      let current = '';
      const show = () => {
        if (current) task.output = `${current} (${Math.round((performance.now() - startedAt) / 1000)} s)`;
      };
      const timer = setInterval(show, process.stdout.isTTY ? 1_000 : 30_000);
      try {
        const found = await find((progress) => {
          current = progress;
          show();
        });
        context[title] = found;
        task.title = `${title}: ${done(found)}`;
      } finally {
        clearInterval(timer);
      }
    },
  });
  const dapr = step(
    'Dapr',
    (onProgress) => findOrBuildDapr(onProgress, controlPlane(running)),
    ({ version, daprd }) => `${version} (${daprd})`,
  );
  const redis = step(
    'Redis server',
    (onProgress) => findOrInstallRedis(logDir, onProgress),
    () => 'found',
  );
  const zipkin = step('Zipkin', findOrDownloadZipkin, (found) => ('jar' in found ? 'found' : found.missing));
  const prometheus = step(
    'Prometheus',
    (onProgress) => findOrInstallPrometheus(logDir, onProgress),
    () => 'found',
  );
  const programs = profile?.programs.map(({ title, find }) => step(title, find, () => 'found')) ?? [];
  const replaced = twins.map((twin) => step(titleOf(twin), twin.prepare, () => 'ready'));
  const needsRedis = !profile?.broker && !running.redis;
  const steps = [
    dapr,
    ...(needsRedis ? [redis] : []),
    ...programs,
    ...(running.zipkin ? [] : [zipkin]),
    ...(observability ? [prometheus] : []),
    ...replaced,
  ];
  const context = await new Listr<Record<string, unknown>>(steps, {
    concurrent: true,
    registerSignalListeners: false,
  }).run();
  const commands = twins.map((twin) => [twin.service, context[titleOf(twin)] as string[]]);
  return {
    dapr: context['Dapr'] as Dapr,
    zipkin: context['Zipkin'] as PreparedPrograms['zipkin'],
    commands: Object.fromEntries(commands) as PreparedPrograms['commands'],
  };
}
