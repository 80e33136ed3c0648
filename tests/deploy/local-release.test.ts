import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { downloadDapr } from '../../deploy/local/programs/dapr-release.ts';
import { listen, downloadPathOf, outputOf, serveReleases, type Releases } from '../support/releases.ts';

let cache: string;
let logs: string;
let releases: Releases;
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'sidecart-release-'));
  logs = mkdtempSync(join(tmpdir(), 'sidecart-release-logs-'));
  releases = await serveReleases();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await releases.stop();
  for (const directory of [cache, logs]) rmSync(directory, { recursive: true, force: true });
});

/** Timeouts for a busy machine. */
const LIMITS = { connectMs: 10_000, stallMs: 10_000, totalMs: 50_000, maxBytes: 1_000_000 };
const SHORT_TIMEOUTS = { ...LIMITS, stallMs: 300 };
const ARCHIVE = downloadPathOf('daprd');
const SUM = `${ARCHIVE}.sha256`;

const download = (limits = LIMITS, url = releases.url) =>
  downloadDapr({
    name: 'daprd',
    program: join(cache, 'daprd'),
    logFile: join(logs, 'log'),
    releases: url,
    limits,
  });

const isComplete = () => {
  expect(readdirSync(cache)).toEqual(['daprd']);
  expect(spawnSync(join(cache, 'daprd'), { encoding: 'utf8' }).stdout.trim()).toBe(outputOf('daprd'));
};
const answer = (path: string, listener: RequestListener) => releases.handlers.set(path, listener);

const SLOW_TIMEOUTS = { ...LIMITS, stallMs: 1_500 };

/** Each chunk arrives within the stall timeout, but not all of them together. */
function sendSlowly(archive: Buffer): RequestListener {
  return (_, response) => {
    let from = 0;
    const next = setInterval(() => {
      response.write(archive.subarray(from, (from += Math.ceil(archive.length / 8))));
      if (from < archive.length) return;
      clearInterval(next);
      response.end();
    }, SLOW_TIMEOUTS.stallMs / 5);
    response.once('close', () => clearInterval(next));
  };
}

describe('a downloaded program of Dapr', { timeout: 60_000 }, () => {
  it('When the checksum is right, then the program is installed and runs', async () => {
    expect(await download()).toBeUndefined();
    isComplete();
  });

  it('When it is slow and keeps sending, then the download continues', async () => {
    answer(ARCHIVE, sendSlowly(releases.archives.daprd));
    const started = performance.now();
    expect(await download(SLOW_TIMEOUTS)).toBeUndefined();
    expect(performance.now() - started).toBeGreaterThan(SLOW_TIMEOUTS.stallMs);
    isComplete();
  });

  it('When the server closes the connection after a large file, then the file is complete', async () => {
    const large = randomBytes(30_000_000);
    answer(
      SUM,
      (_, response) => void response.end(`${createHash('sha256').update(large).digest('hex')} *large`),
    );
    answer(ARCHIVE, (_, response) => {
      response.writeHead(200, { connection: 'close', 'content-length': large.length }).end(large);
    });
    // The checksum is right, but the file is not an archive.
    await expect(download({ ...LIMITS, maxBytes: large.length })).rejects.toThrow('tar');
  });

  it('When it is redirected, then the download follows, even if a server marks it as compressed', async () => {
    const archive = releases.handlers.get(ARCHIVE)!;
    answer('/elsewhere', (incoming, response) => {
      response.setHeader('content-encoding', 'gzip');
      archive(incoming, response);
    });
    answer(ARCHIVE, (_, response) => void response.writeHead(302, { location: '/elsewhere' }).end());
    expect(await download()).toBeUndefined();
    isComplete();
  });

  it('When the address of the mirror has a trailing slash, then it is the same', async () => {
    expect(await download(LIMITS, `${releases.url}/`)).toBeUndefined();
    isComplete();
  });

  it('When the checksum is wrong, then the error has the program, and no file remains', async () => {
    answer(ARCHIVE, (_, response) => void response.end('something else'));
    await expect(download()).rejects.toThrow(`${releases.url}${ARCHIVE} has the wrong checksum`);
    expect(readdirSync(cache)).toEqual([]);
  });

  const half: RequestListener = (_, response) => {
    response.writeHead(200, { 'content-length': 1_000 }).write('half of it');
  };
  it.each<[what: string, path: string, answers: RequestListener | undefined, reason: RegExp]>([
    ['there is no archive', ARCHIVE, undefined, /404/],
    ['there is no checksum', SUM, undefined, /404/],
    ['the checksum is a page', SUM, (_, response) => void response.end('<html>'), /no checksum/],
    ['the server fails', ARCHIVE, (_, response) => void response.writeHead(503).end(), /503/],
    [
      'it is cut off',
      ARCHIVE,
      (incoming, response) => {
        half(incoming, response);
        setImmediate(() => response.destroy());
      },
      /closed|aborted|terminated/,
    ],
    [
      'it is far too large',
      ARCHIVE,
      (_, response) => void response.end(Buffer.alloc(1_000_001)),
      /more than/,
    ],
    [
      'it leads in a circle',
      ARCHIVE,
      (_, response) => void response.writeHead(302, { location: ARCHIVE }).end(),
      /Redirect loop/,
    ],
  ])('When %s, then the error says so and no file remains', async (_, path, answers, reason) => {
    if (answers) answer(path, answers);
    else releases.handlers.delete(path);
    const message = await download();
    expect(message).toMatch(reason);
    expect(message).toContain(`${releases.url}${ARCHIVE}: `);
    expect(readdirSync(cache)).toEqual([]);
  });

  it.each<[what: string, path: string, answers: RequestListener]>([
    ['the server does not answer', ARCHIVE, () => {}],
    ['it stops coming', ARCHIVE, half],
  ])('When %s, then the download fails soon and no file remains', async (_, path, answers) => {
    answer(path, answers);
    expect(await download(SHORT_TIMEOUTS)).toMatch(/no data for 0.3 s/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When it keeps sending without end, then the total time is limited, too', async () => {
    answer(ARCHIVE, sendSlowly(releases.archives.daprd));
    expect(await download({ ...LIMITS, totalMs: 300 })).toMatch(/timeout/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When no server listens, then the error says so', async () => {
    expect(await download(LIMITS, 'http://127.0.0.1:9')).toMatch(/ECONNREFUSED/);
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe('behind a proxy', { timeout: 60_000 }, () => {
  const BEHIND = 'http://releases.example';

  async function useProxy(proxy: Server): Promise<void> {
    const { url, stop } = await listen(proxy);
    onTestFinished(stop);
    vi.stubEnv('http_proxy', url);
  }

  it('When one is set, then the download uses it', async () => {
    const hosts: string[] = [];
    const proxy = createServer((incoming, response) => {
      // Without a tunnel, the request has the whole URL.
      const { host, pathname } = new URL(incoming.url ?? '');
      hosts.push(host);
      incoming.url = pathname;
      const listener = releases.handlers.get(pathname);
      listener?.(incoming, response);
    });
    proxy.on('connect', ({ url }, socket) => {
      hosts.push(url ?? '');
      const upstream = connect(Number(new URL(releases.url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    await useProxy(proxy);
    expect(await download(LIMITS, BEHIND)).toBeUndefined();
    isComplete();
    expect(hosts[0]).toMatch(/^releases\.example(:80)?$/);
  });

  it('When it rejects, then the error says so and no file remains', async () => {
    const proxy = createServer((_, response) => void response.writeHead(403).end());
    proxy.on('connect', (_, socket) => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    await useProxy(proxy);
    expect(await download(LIMITS, BEHIND)).toMatch(/403/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When it does not respond, then the download times out', async () => {
    const proxy = createServer(() => {});
    proxy.on('connect', () => {});
    await useProxy(proxy);
    expect(await download(SHORT_TIMEOUTS, BEHIND)).toMatch(/no data for 0.3 s/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When NO_PROXY has the mirror, then the download does not use it', async () => {
    vi.stubEnv('http_proxy', 'http://127.0.0.1:9');
    vi.stubEnv('no_proxy', '127.0.0.1');
    expect(await download()).toBeUndefined();
    isComplete();
  });
});
