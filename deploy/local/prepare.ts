import { Listr } from 'listr2';
import { findOrBuildDapr, type Dapr } from './dapr.ts';
import { findOrInstallRedis } from './redis.ts';
import { findOrFetchZipkin } from './zipkin.ts';

export interface Prepared {
  dapr: Dapr;
  zipkin: Awaited<ReturnType<typeof findOrFetchZipkin>>;
}

/** Finds, installs or builds the programs that a system needs, and shows what takes its time. */
export async function prepare(logDir: string): Promise<Prepared> {
  const ticking: NodeJS.Timeout[] = [];
  const step = <T>(
    title: string,
    find: (tell: (what: string) => void) => Promise<T>,
    done: (found: T) => string,
  ) => ({
    title,
    task: async (context: Record<string, unknown>, task: { title: string; output: string }) => {
      const started = Date.now();
      let doing = '';
      const show = () => {
        if (doing) task.output = `${doing} (${Math.round((Date.now() - started) / 1000)} s)`;
      };
      ticking.push(setInterval(show, process.stdout.isTTY ? 1_000 : 30_000));
      const found = await find((what) => {
        doing = what;
        show();
      });
      context[title] = found;
      task.title = `${title}: ${done(found)}`;
    },
  });
  const steps = [
    step('Dapr', findOrBuildDapr, ({ version, daprd }) => `${version} (${daprd})`),
    step(
      'Redis server',
      (tell) => findOrInstallRedis(logDir, tell),
      () => 'here',
    ),
    step('Zipkin', findOrFetchZipkin, (found) => ('jar' in found ? 'here' : found.missing)),
  ];
  try {
    const context = await new Listr<Record<string, unknown>>(steps, {
      concurrent: true,
      registerSignalListeners: false,
    }).run();
    return { dapr: context['Dapr'] as Dapr, zipkin: context['Zipkin'] as Prepared['zipkin'] };
  } finally {
    for (const timer of ticking) clearInterval(timer);
  }
}
