import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Dapr } from './dapr.ts';
import { startMailCatcher } from './mail.ts';
import { folder } from './paths.ts';
import { isTaken, type Ports } from './ports.ts';
import type { Running } from './processes.ts';
import type { Profile } from './profiles.ts';
import { speaksRedis, startRedis } from './redis.ts';
import { speaksGrpc, startScheduler } from './scheduler.ts';
import { answersAsZipkin, startZipkin } from './zipkin.ts';

/** One part of what stands around the services. */
export interface Part {
  title: string;
  /** What is there already and may be used instead, if anything: said to the user. */
  found: () => Promise<string | undefined>;
  start: () => Promise<Running>;
  /** Services and sidecars start without it. */
  canComeLater?: boolean;
}

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

export interface Admin {
  email: string;
  password: string;
  /** Whoever gave the password knows it. */
  isMadeUp: boolean;
}

/**
 * The first administrator: from ADMIN_EMAIL and ADMIN_PASSWORD, or made up. What was made up is kept in the data folder,
 * since users keeps the account too.
 */
export function adminOf(dataDir: string): Admin {
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;
  if (email && password) return { email, password, isMadeUp: false };
  const file = join(folder(dataDir), 'admin.json');
  if (existsSync(file)) return { ...madeUp.parse(JSON.parse(readFileSync(file, 'utf8'))), isMadeUp: true };
  const admin = { email: 'admin@sidecart.example', password: randomBytes(12).toString('base64url') };
  // A full disk must not leave half of it.
  const part = `${file}.${process.pid}`;
  writeFileSync(part, JSON.stringify(admin), { mode: 0o600 });
  renameSync(part, file);
  return { ...admin, isMadeUp: true };
}

const madeUp = z.object({ email: z.string(), password: z.string() });

/** How users, and no other process, is told of the first administrator. */
export function adminEnv({ email, password }: Admin): Record<string, string> {
  return { ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
}
