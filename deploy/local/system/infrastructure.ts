import type { ScrapeTarget } from '../../observability/prometheus.ts';
import type { Ports } from '../configuration/ports.ts';
import type { InfrastructureService } from '../infrastructure/infrastructure-service.ts';
import { startMailCatcher } from '../infrastructure/mail-catcher.ts';
import { startPlacement } from '../infrastructure/placement.ts';
import { startPrometheus } from '../infrastructure/prometheus.ts';
import { isRedis, startRedis } from '../infrastructure/redis.ts';
import { isGrpc, startScheduler } from '../infrastructure/scheduler.ts';
import { isZipkin, startZipkin } from '../infrastructure/zipkin.ts';
import { isPortInUse } from '../machine/tcp-ports.ts';
import type { Profile } from '../profiles/profile.ts';
import type { Dapr } from '../programs/dapr.ts';

/** The infrastructure of a system, in the order of the start. */
export function infrastructureFor(options: {
  dapr: Dapr;
  ports: Ports;
  dataDir: string;
  logDir: string;
  zipkinJar: string | undefined;
  /** The address of this host for other hosts, if there are any. */
  address?: string | undefined;
  /** Replaces or adds infrastructure. */
  profile?: Profile | undefined;
  /** What Prometheus scrapes. Without it, there is no Prometheus. */
  scrapeTargets?: readonly ScrapeTarget[] | undefined;
}): InfrastructureService[] {
  const { dapr, ports, dataDir, logDir, zipkinJar, address, profile, scrapeTargets } = options;
  // Scheduler, placement and Zipkin listen at one address only.
  const listenAddress = address === undefined ? '127.0.0.1' : '0.0.0.0';
  const reuse = async (name: string, port: number, isRunning: (port: number) => Promise<boolean>) =>
    (await isRunning(port)) ? `using the ${name} on port ${port}` : undefined;
  const redis: InfrastructureService = {
    title: 'Redis',
    findRunning: () => reuse('Redis', ports.redis, isRedis),
    start: () => startRedis({ port: ports.redis, dataDir, logDir, address }),
  };
  const services: InfrastructureService[] = [
    ...(profile?.broker ? [] : [redis]),
    ...(profile?.infrastructure({ ports, dataDir, logDir }) ?? []),
    {
      title: 'Dapr scheduler',
      findRunning: () => reuse('scheduler', ports.scheduler, isGrpc),
      start: () => startScheduler({ dapr, ports, dataDir, logDir, listenAddress }),
    },
    {
      title: 'Dapr placement',
      findRunning: () => reuse('placement service', ports.placement, isGrpc),
      start: () => startPlacement({ dapr, ports, logDir, listenAddress }),
    },
    {
      title: 'Mail catcher',
      findRunning: async () =>
        (await isPortInUse(ports.smtp)) ? reuse('mail catcher', ports.mailWeb, isPortInUse) : undefined,
      start: () => startMailCatcher({ ports, logDir }),
      canStartLater: true,
    },
  ];
  if (zipkinJar)
    services.push({
      title: 'Zipkin',
      findRunning: () => reuse('Zipkin', ports.zipkin, isZipkin),
      start: () => startZipkin({ jar: zipkinJar, port: ports.zipkin, logDir, listenAddress }),
      canStartLater: true,
    });
  if (scrapeTargets)
    services.push({
      title: 'Prometheus',
      // Another one has other targets.
      findRunning: async () => undefined,
      start: () => startPrometheus({ port: ports.prometheus, targets: scrapeTargets, dataDir, logDir }),
      canStartLater: true,
    });
  return services;
}
