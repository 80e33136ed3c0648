import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../machine/paths.ts';
import { readOutput, runProgram } from '../machine/processes.ts';
import { buildWithGo } from './go-build.ts';

/** An implementation of a service in another language: services/CONTRACT.md. */
export interface Twin {
  service: string;
  language: string;
  /** Installs what it needs, and returns the command that starts it. */
  prepare: (onProgress: (step: string) => void) => Promise<string[]>;
}

/** Such as `payments in python`. */
export const titleOf = ({ service, language }: Twin): string => `${service} in ${language}`;

const TWINS: readonly Twin[] = [
  { service: 'payments', language: 'python', prepare: preparePayments },
  { service: 'inventory', language: 'go', prepare: prepareInventory },
];

const optionOf = ({ service, language }: Twin) => `${service}=${language}`;

/** The value of `--with` for all of them. */
export const ALL_TWINS = TWINS.map(optionOf).join(',');

/** The folder with the source and the Dockerfile. */
export const folderOf = (service: string): string => join(root, 'tests/polyglot', service);

/**
 * Parses the value of `--with`: `payments=python,inventory=go`.
 *
 * @throws Error with the valid values
 */
export function parseTwins(text: string | undefined): Twin[] {
  if (text === undefined) return [];
  const twins = text.split(',').map((entry) => {
    const twin = TWINS.find((candidate) => entry === optionOf(candidate));
    if (twin) return twin;
    throw new Error(`--with does not know "${entry}". It knows ${TWINS.map(optionOf).join(' and ')}.`);
  });
  if (new Set(twins).size < twins.length) throw new Error(`--with names a service twice: ${text}`);
  return twins;
}

const OLDEST_PYTHON = [3, 11] as const;
const OLDEST_GO = [1, 26] as const;

async function preparePayments(onProgress: (step: string) => void): Promise<string[]> {
  assertVersion('Python', 'python3', ['--version'], OLDEST_PYTHON, 'https://www.python.org/downloads');
  const source = folderOf('payments');
  const packages = readFileSync(join(source, 'requirements.txt'));
  const folder = ensureFolder(root, '.sidecart/twins');
  const version = createHash('sha256').update(packages).digest('hex').slice(0, 12);
  const environment = join(folder, `payments-${version}`);
  if (!existsSync(environment)) {
    const logFile = join(folder, 'payments-install.log');
    onProgress(`installing Python packages (once; up to a minute), log: ${logFile}`);
    // It gets its name when it is complete, so an interrupted installation starts again.
    const unfinished = `${environment}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    await runProgram('python3', ['-m', 'venv', unfinished], { logFile });
    const python = join(unfinished, 'bin/python');
    const install = ['-m', 'pip', 'install', '--require-hashes', '-r', join(source, 'requirements.txt')];
    await runProgram(python, install, { logFile });
    renameSync(unfinished, environment);
  }
  // `env`, because only the command of dapr.yaml differs.
  return ['env', `PYTHONPATH=${source}`, join(environment, 'bin/python'), '-m', 'payments'];
}

async function prepareInventory(onProgress: (step: string) => void): Promise<string[]> {
  assertVersion('Go', 'go', ['version'], OLDEST_GO, 'https://go.dev/dl');
  const folder = ensureFolder(root, '.sidecart/twins');
  const program = join(folder, 'inventory');
  const logFile = join(folder, 'inventory-build.log');
  onProgress(`building with Go (up to two minutes at first), log: ${logFile}`);
  const flags = ['-trimpath', '-ldflags', '-s -w'];
  await buildWithGo({ program, module: folderOf('inventory'), flags, source: '.', logFile });
  return [program];
}

/** @throws Error with one sentence that names what to install */
function assertVersion(
  name: string,
  program: string,
  args: readonly string[],
  [major, minor]: readonly [number, number],
  url: string,
): void {
  const wanted = `${name} ${major}.${minor} or newer`;
  const output = readOutput(program, ...args);
  if (output === undefined) throw new Error(`--with needs ${wanted}, which is missing. Install it: ${url}.`);
  const [, foundMajor = 0, foundMinor = 0] = (/(\d+)\.(\d+)/.exec(output) ?? []).map(Number);
  if (foundMajor < major || (foundMajor === major && foundMinor < minor))
    throw new Error(`--with needs ${wanted}, but this is ${foundMajor}.${foundMinor}. Install it: ${url}.`);
}
