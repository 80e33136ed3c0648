import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { EnvHttpProxyAgent, interceptors, request, type Dispatcher } from 'undici';
import { runProgram } from '../machine/processes.ts';
import { withScratchFolder } from '../machine/scratch-folder.ts';
import { DAPR_CLI_VERSION, DAPR_RUNTIME_VERSION } from './versions.ts';

/** The address of Dapr's releases, or of a mirror with the same paths. The commands check the variable (settings.ts). */
export const RELEASES_URL = process.env['DAPR_RELEASES'] || 'https://github.com/dapr';

/** The limits of a download: services/decisions/0110-first-start.md. */
const DOWNLOAD_LIMITS = {
  connectMs: 3_000,
  /** Time without data. */
  stallMs: 5_000,
  totalMs: 600_000,
  /** Size of an archive. The largest, daprd, has about 70 million bytes. */
  maxBytes: 300_000_000,
};

const STALL_CHECKS = 5;

/** The repository and the version of each program in Dapr's releases. */
const PUBLISHED_IN = {
  daprd: ['dapr', DAPR_RUNTIME_VERSION],
  scheduler: ['dapr', DAPR_RUNTIME_VERSION],
  placement: ['dapr', DAPR_RUNTIME_VERSION],
  dapr: ['cli', DAPR_CLI_VERSION],
} as const;
export type DaprProgram = keyof typeof PUBLISHED_IN;

/** The address of a program for this machine; undefined if there is no release. */
function findReleaseUrl(name: DaprProgram, releases: string): string | undefined {
  const { platform, arch } = process;
  const architecture = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }[arch as string];
  if (!architecture || !['linux', 'darwin'].includes(platform)) return undefined;
  const [repository, version] = PUBLISHED_IN[name];
  const file = `${name}_${platform}_${architecture}.tar.gz`;
  return `${releases.replace(/\/+$/, '')}/${repository}/releases/download/v${version}/${file}`;
}

/**
 * Downloads a program of Dapr through the proxy of HTTP_PROXY and HTTPS_PROXY, and checks the published checksum.
 *
 * @returns why the download failed; undefined if it succeeded
 * @throws Error if the checksum is wrong
 */
export async function downloadDapr(options: {
  name: DaprProgram;
  program: string;
  logFile: string;
  releases?: string;
  limits?: typeof DOWNLOAD_LIMITS;
}): Promise<string | undefined> {
  const { name, program, logFile, releases = RELEASES_URL, limits = DOWNLOAD_LIMITS } = options;
  const url = findReleaseUrl(name, releases);
  if (!url) return `Dapr publishes no ${name} for ${process.platform} on ${process.arch}`;
  const connect = { timeout: limits.connectMs };
  const agent = new EnvHttpProxyAgent({ connect, proxyTls: connect, requestTls: connect });
  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 5 }));
  try {
    return await withScratchFolder(dirname(program), async (scratch) => {
      const archive = join(scratch, basename(url));
      const hash = createHash('sha256');
      let published = '';
      try {
        published = await downloadChecksum(`${url}.sha256`, dispatcher, limits);
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
        return `${url}: ${textOfError(error)}`;
      }
      const received = hash.digest('hex');
      if (received !== published)
        throw new Error(
          `${url} has the wrong checksum: its SHA-256 is ${received}, but ${basename(url)}.sha256 says ${published}. ` +
            'The download was deleted. Check the mirror (DAPR_RELEASES) and the proxy, or install Dapr yourself.',
        );
      await runProgram('tar', ['-xzf', archive, '-o', '-C', scratch], { logFile });
      chmodSync(join(scratch, name), 0o755);
      renameSync(join(scratch, name), program);
      return undefined;
    });
  } finally {
    await agent.destroy();
  }
}

/** Downloads a checksum file in the format of `sha256sum`. */
async function downloadChecksum(
  url: string,
  dispatcher: Dispatcher,
  limits: typeof DOWNLOAD_LIMITS,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  await receive(url, dispatcher, { ...limits, maxBytes: 10_000 }, (chunk) => void chunks.push(chunk));
  const sum = /^([\da-f]{64})\s/.exec(Buffer.concat(chunks).toString())?.[1];
  if (!sum) throw new Error(`${basename(url)} contains no checksum`);
  return sum;
}

/**
 * Receives the bytes unchanged, because `fetch` would unpack an archive that a server marks as compressed. It never pauses the
 * body: undici 7 ends the process if the server closes a paused connection (https://github.com/nodejs/undici/issues/5360).
 */
async function receive(
  url: string,
  dispatcher: Dispatcher,
  { stallMs, totalMs, maxBytes }: typeof DOWNLOAD_LIMITS,
  onChunk: (chunk: Uint8Array) => void,
): Promise<void> {
  const stalled = new AbortController();
  let idleSteps = 0;
  // Counted in steps, so that a busy phase of this process counts as one step and not as a stalled server.
  const watchdog = setInterval(() => {
    if (++idleSteps === STALL_CHECKS) stalled.abort(new Error(`no data for ${stallMs / 1000} s`));
  }, stallMs / STALL_CHECKS);
  const signal = AbortSignal.any([stalled.signal, AbortSignal.timeout(totalMs)]);
  let remainingBytes = maxBytes;
  try {
    // A request without a connection ignores the signal, for example behind a silent proxy.
    const { statusCode, body } = await Promise.race([
      request(url, { dispatcher, signal }),
      rejectOnAbort(signal),
    ]);
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    body.on('data', (chunk: Uint8Array) => {
      idleSteps = 0;
      remainingBytes -= chunk.length;
      if (remainingBytes < 0) body.destroy(new Error(`more than ${maxBytes} bytes`));
      else onChunk(chunk);
    });
    await finished(body);
  } finally {
    clearInterval(watchdog);
  }
}

async function rejectOnAbort(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}

function textOfError(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}
