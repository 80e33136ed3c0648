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

/** Long enough for a machine that is busy. */
const LIMITS = { connectMs: 10_000, stallMs: 10_000, totalMs: 50_000, maxBytes: 1_000_000 };
const IMPATIENT = { ...LIMITS, stallMs: 300 };
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

const isWhole = () => {
  expect(readdirSync(cache)).toEqual(['daprd']);
  expect(spawnSync(join(cache, 'daprd'), { encoding: 'utf8' }).stdout.trim()).toBe(outputOf('daprd'));
};
const answer = (path: string, listener: RequestListener) => releases.handlers.set(path, listener);

const SLOW = { ...LIMITS, stallMs: 1_500 };

/** Each piece comes within the limit for a stall, all of them do not. */
function slowly(archive: Buffer): RequestListener {
  return (_, response) => {
    let from = 0;
    const next = setInterval(() => {
      response.write(archive.subarray(from, (from += Math.ceil(archive.length / 8))));
      if (from < archive.length) return;
      clearInterval(next);
      response.end();
    }, SLOW.stallMs / 5);
    response.once('close', () => clearInterval(next));
  };
}

describe('a program of Dapr that is downloaded', { timeout: 60_000 }, () => {
  it('When what comes is what was published, then it is there and runs', async () => {
    expect(await download()).toBeUndefined();
    isWhole();
  });

  it('When it is slow and keeps coming, then it is waited for', async () => {
    answer(ARCHIVE, slowly(releases.archives.daprd));
    const started = performance.now();
    expect(await download(SLOW)).toBeUndefined();
    expect(performance.now() - started).toBeGreaterThan(SLOW.stallMs);
    isWhole();
  });

  it('When the server ends the connection after a large file, then it is received whole', async () => {
    const large = randomBytes(30_000_000);
    answer(
      SUM,
      (_, response) => void response.end(`${createHash('sha256').update(large).digest('hex')} *large`),
    );
    answer(ARCHIVE, (_, response) => {
      response.writeHead(200, { connection: 'close', 'content-length': large.length }).end(large);
    });
    // It is no archive, which is found out only after its checksum was right.
    await expect(download({ ...LIMITS, maxBytes: large.length })).rejects.toThrow('tar');
  });

  it('When it is somewhere else, then it is fetched from there, and a server that marks it as compressed does no harm', async () => {
    const archive = releases.handlers.get(ARCHIVE)!;
    answer('/elsewhere', (incoming, response) => {
      response.setHeader('content-encoding', 'gzip');
      archive(incoming, response);
    });
    answer(ARCHIVE, (_, response) => void response.writeHead(302, { location: '/elsewhere' }).end());
    expect(await download()).toBeUndefined();
    isWhole();
  });

  it('When the address of the mirror ends with a slash, then it is the same', async () => {
    expect(await download(LIMITS, `${releases.url}/`)).toBeUndefined();
    isWhole();
  });

  it('When it is not what was published, then that is an error which names it, and nothing is kept', async () => {
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
  ])('When %s, then that is said and nothing is kept', async (_, path, answers, reason) => {
    if (answers) answer(path, answers);
    else releases.handlers.delete(path);
    const said = await download();
    expect(said).toMatch(reason);
    expect(said).toContain(`${releases.url}${ARCHIVE}: `);
    expect(readdirSync(cache)).toEqual([]);
  });

  it.each<[what: string, path: string, answers: RequestListener]>([
    ['the server does not answer', ARCHIVE, () => {}],
    ['it stops coming', ARCHIVE, half],
  ])('When %s, then it is given up soon and nothing is kept', async (_, path, answers) => {
    answer(path, answers);
    expect(await download(IMPATIENT)).toMatch(/no data for 0.3 s/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When it keeps coming without an end in sight, then the time is limited as well', async () => {
    answer(ARCHIVE, slowly(releases.archives.daprd));
    expect(await download({ ...LIMITS, totalMs: 300 })).toMatch(/timeout/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When nobody listens there, then that is said', async () => {
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

  it('When one is set, then it is asked', async () => {
    const hosts: string[] = [];
    const proxy = createServer((incoming, response) => {
      // Without a tunnel: the whole URL.
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
    isWhole();
    expect(hosts[0]).toMatch(/^releases\.example(:80)?$/);
  });

  it('When it refuses, then that is said and nothing is kept', async () => {
    const proxy = createServer((_, response) => void response.writeHead(403).end());
    proxy.on('connect', (_, socket) => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    await useProxy(proxy);
    expect(await download(LIMITS, BEHIND)).toMatch(/403/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When it says nothing, then it is given up', async () => {
    const proxy = createServer(() => {});
    proxy.on('connect', () => {});
    await useProxy(proxy);
    expect(await download(IMPATIENT, BEHIND)).toMatch(/no data for 0.3 s/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('When NO_PROXY names the mirror, then the proxy is not asked', async () => {
    vi.stubEnv('http_proxy', 'http://127.0.0.1:9');
    vi.stubEnv('no_proxy', '127.0.0.1');
    expect(await download()).toBeUndefined();
    isWhole();
  });
});
