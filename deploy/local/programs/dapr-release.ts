import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { EnvHttpProxyAgent, interceptors, request, type Dispatcher } from 'undici';
import { DAPR_CLI, DAPR_RUNTIME } from './versions.ts';
import { run } from '../machine/processes.ts';
import { inScratch } from '../machine/scratch-folder.ts';

/** Where the releases are that Dapr publishes, or a mirror with the same paths below it. The commands check it (settings.ts). */
export const RELEASES = process.env['DAPR_RELEASES'] || 'https://github.com/dapr';

/** When a download is given up: services/decisions/0110-first-start.md. */
const LIMITS = {
  connectMs: 3_000,
  /** Without anything that comes. */
  stallMs: 5_000,
  totalMs: 600_000,
  /** Of the archive; daprd, the largest, has some 70 million. */
  bytes: 300_000_000,
};

const STEPS = 5;

/** What names a program in Dapr's releases: the repository and the version. */
const PUBLISHED = {
  daprd: ['dapr', DAPR_RUNTIME],
  scheduler: ['dapr', DAPR_RUNTIME],
  dapr: ['cli', DAPR_CLI],
} as const;
export type DaprProgram = keyof typeof PUBLISHED;

/** Where a program is published for this machine; undefined where it is not. */
function urlOf(name: DaprProgram, releases: string): string | undefined {
  const { platform, arch } = process;
  const architecture = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }[arch as string];
  if (!architecture || !['linux', 'darwin'].includes(platform)) return undefined;
  const [repository, version] = PUBLISHED[name];
  const file = `${name}_${platform}_${architecture}.tar.gz`;
  return `${releases.replace(/\/+$/, '')}/${repository}/releases/download/v${version}/${file}`;
}

/**
 * Downloads a program of Dapr, through the proxy of HTTP_PROXY and HTTPS_PROXY, and compares it with the published checksum.
 *
 * @returns why there is none; undefined where there is
 * @throws Error where what came is not what was published
 */
export async function downloadDapr(options: {
  name: DaprProgram;
  program: string;
  logFile: string;
  releases?: string;
  limits?: typeof LIMITS;
}): Promise<string | undefined> {
  const { name, program, logFile, releases = RELEASES, limits = LIMITS } = options;
  const url = urlOf(name, releases);
  if (!url) return `Dapr publishes no ${name} for ${process.platform} on ${process.arch}`;
  const connect = { timeout: limits.connectMs };
  const agent = new EnvHttpProxyAgent({ connect, proxyTls: connect, requestTls: connect });
  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 5 }));
  try {
    return await inScratch(dirname(program), async (scratch) => {
      const archive = join(scratch, basename(url));
      const hash = createHash('sha256');
      let published = '';
      try {
        published = await checksumAt(`${url}.sha256`, dispatcher, limits);
        const file = createWriteStream(archive);
        const written = finished(file);
        await Promise.all([
          written,
          receive(url, dispatcher, limits, (chunk) => {
            hash.update(chunk);
            file.write(chunk);
          }).finally(() => file.end()),
        ]);
      } catch (error) {
        return `${url}: ${reasonOf(error)}`;
      }
      const received = hash.digest('hex');
      if (received !== published)
        throw new Error(
          `${url} has the wrong checksum: its SHA-256 is ${received}, but ${basename(url)}.sha256 says ${published}. ` +
            'The download was deleted. Check the mirror (DAPR_RELEASES) and the proxy, or install Dapr yourself.',
        );
      await run('tar', ['-xzf', archive, '-o', '-C', scratch], { logFile });
      chmodSync(join(scratch, name), 0o755);
      renameSync(join(scratch, name), program);
      return undefined;
    });
  } finally {
    await agent.destroy();
  }
}

/** A file as `sha256sum` writes it. */
async function checksumAt(url: string, dispatcher: Dispatcher, limits: typeof LIMITS): Promise<string> {
  const chunks: Uint8Array[] = [];
  await receive(url, dispatcher, { ...limits, bytes: 10_000 }, (chunk) => void chunks.push(chunk));
  const sum = /^([\da-f]{64})\s/.exec(Buffer.concat(chunks).toString())?.[1];
  if (!sum) throw new Error(`${basename(url)} contains no checksum`);
  return sum;
}

/**
 * The bytes as they are: `fetch` would unpack an archive that a server marks as compressed. They are taken as they come. Where undici
 * is made to wait, and the server ends the connection meanwhile, version 7 ends the process (https://github.com/nodejs/undici/issues/5360).
 */
async function receive(
  url: string,
  dispatcher: Dispatcher,
  { stallMs, totalMs, bytes }: typeof LIMITS,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  const stalled = new AbortController();
  let idle = 0;
  // Counted in steps: what keeps this process busy for long is one of them, and not the server's fault.
  const watchdog = setInterval(() => {
    if (++idle === STEPS) stalled.abort(new Error(`no data for ${stallMs / 1000} s`));
  }, stallMs / STEPS);
  const signal = AbortSignal.any([stalled.signal, AbortSignal.timeout(totalMs)]);
  let left = bytes;
  try {
    // A request that has no connection yet does not listen to the signal, as behind a proxy that says nothing.
    const { statusCode, body } = await Promise.race([
      request(url, { dispatcher, signal }),
      rejectionOf(signal),
    ]);
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    body.on('data', (chunk: Uint8Array) => {
      idle = 0;
      left -= chunk.length;
      if (left < 0) body.destroy(new Error(`more than ${bytes} bytes`));
      else take(chunk);
    });
    await finished(body);
  } finally {
    clearInterval(watchdog);
  }
}

async function rejectionOf(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}

function reasonOf(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}
