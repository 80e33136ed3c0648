import type { Ports } from '../configuration/ports.ts';
import type { Part } from '../infrastructure/infrastructure-service.ts';
import { startMailCatcher } from '../infrastructure/mail-catcher.ts';
import { speaksRedis, startRedis } from '../infrastructure/redis.ts';
import { speaksGrpc, startScheduler } from '../infrastructure/scheduler.ts';
import { answersAsZipkin, startZipkin } from '../infrastructure/zipkin.ts';
import { isTaken } from '../machine/tcp-ports.ts';
import type { Profile } from '../profiles/profile.ts';
import type { Dapr } from '../programs/dapr.ts';

/** The parts, in the order in which they are started. */
export function partsOf(options: {
  dapr: Dapr;
  ports: Ports;
  dataDir: string;
  logDir: string;
  zipkinJar: string | undefined;
  /** Where other hosts reach this one; not given: there are none. */
  address?: string | undefined;
  /** What there is besides, or instead of Redis. */
  profile?: Profile | undefined;
}): Part[] {
  const { dapr, ports, dataDir, logDir, zipkinJar, address, profile } = options;
  // These two take one address only.
  const listenAddress = address === undefined ? '127.0.0.1' : '0.0.0.0';
  const using = async (what: string, port: number, is: (port: number) => Promise<boolean>) =>
    (await is(port)) ? `using the ${what} on port ${port}` : undefined;
  const redis: Part = {
    title: 'Redis',
    found: () => using('Redis', ports.redis, speaksRedis),
    start: () => startRedis({ port: ports.redis, dataDir, logDir, address }),
  };
  const parts: Part[] = [
    ...(profile?.broker ? [] : [redis]),
    ...(profile?.parts({ ports, dataDir, logDir }) ?? []),
    {
      title: 'Dapr scheduler',
      found: () => using('scheduler', ports.scheduler, speaksGrpc),
      start: () => startScheduler({ dapr, ports, dataDir, logDir, listenAddress }),
    },
    {
      title: 'Mail catcher',
      found: async () =>
        (await isTaken(ports.smtp)) ? using('mail catcher', ports.mailWeb, isTaken) : undefined,
      start: () => startMailCatcher({ ports, logDir }),
      canComeLater: true,
    },
  ];
  if (!zipkinJar) return parts;
  return [
    ...parts,
    {
      title: 'Zipkin',
      found: () => using('Zipkin', ports.zipkin, answersAsZipkin),
      start: () => startZipkin({ jar: zipkinJar, port: ports.zipkin, logDir, listenAddress }),
      canComeLater: true,
    },
  ];
}
