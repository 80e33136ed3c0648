import { Listr } from 'listr2';
import { findOrBuildDapr, type Dapr } from '../programs/dapr.ts';
import type { Profile } from '../profiles/profile.ts';
import { findOrInstallRedis } from '../infrastructure/redis.ts';
import { findOrFetchZipkin } from '../infrastructure/zipkin.ts';

/** What runs already and will be used as it is. */
export interface Present {
  redis: boolean;
  scheduler: boolean;
  zipkin: boolean;
}

export interface Prepared {
  dapr: Dapr;
  /** Undefined where one runs already. */
  zipkin: Awaited<ReturnType<typeof findOrFetchZipkin>> | undefined;
}

/** Finds, installs or builds the programs that a system needs, and shows what takes its time. */
export async function prepare(
  logDir: string,
  present: Present = { redis: false, scheduler: false, zipkin: false },
  profile?: Profile,
): Promise<Prepared> {
  const step = <T>(
    title: string,
    find: (tell: (what: string) => void) => Promise<T>,
    done: (found: T) => string,
  ) => ({
    title,
    task: async (context: Record<string, unknown>, task: { title: string; output: string }) => {
      const started = performance.now();
      let doing = '';
      const show = () => {
        if (doing) task.output = `${doing} (${Math.round((performance.now() - started) / 1000)} s)`;
      };
      const ticking = setInterval(show, process.stdout.isTTY ? 1_000 : 30_000);
      try {
        const found = await find((what) => {
          doing = what;
          show();
        });
        context[title] = found;
        task.title = `${title}: ${done(found)}`;
      } finally {
        clearInterval(ticking);
      }
    },
  });
  const dapr = step(
    'Dapr',
    (tell) => findOrBuildDapr(tell, !present.scheduler),
    ({ version, daprd }) => `${version} (${daprd})`,
  );
  const redis = step(
    'Redis server',
    (tell) => findOrInstallRedis(logDir, tell),
    () => 'found',
  );
  const zipkin = step('Zipkin', findOrFetchZipkin, (found) => ('jar' in found ? 'found' : found.missing));
  const programs = profile?.programs.map(({ title, find }) => step(title, find, () => 'found')) ?? [];
  const needsRedis = !profile?.broker && !present.redis;
  const steps = [dapr, ...(needsRedis ? [redis] : []), ...programs, ...(present.zipkin ? [] : [zipkin])];
  const context = await new Listr<Record<string, unknown>>(steps, {
    concurrent: true,
    registerSignalListeners: false,
  }).run();
  return { dapr: context['Dapr'] as Dapr, zipkin: context['Zipkin'] as Prepared['zipkin'] };
}
