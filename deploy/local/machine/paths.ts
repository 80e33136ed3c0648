import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: this file may run as it is (in tests) or compiled (below dist). */
export const root = ancestorWith('dapr.yaml', dirname(fileURLToPath(import.meta.url)));

/** Empty where this user has none: an id without an entry in /etc/passwd, and no HOME. */
export const home = homeOfUser();

/** A relative path begins where npm was called, not where it runs its scripts. A variable that is empty is not set. */
const { SIDECART_CACHE, XDG_CACHE_HOME, INIT_CWD = '' } = process.env;

/** What is built or fetched once and outlives checkouts. The commands demand a home (settings.ts). */
export const cacheDir = SIDECART_CACHE
  ? resolve(INIT_CWD, SIDECART_CACHE)
  : join(XDG_CACHE_HOME || join(home || tmpdir(), '.cache'), 'sidecart');

function homeOfUser(): string {
  try {
    return homedir();
  } catch {
    return '';
  }
}

function ancestorWith(file: string, directory: string): string {
  if (existsSync(join(directory, file))) return directory;
  if (dirname(directory) === directory) throw new Error(`no parent folder of this program contains ${file}`);
  return ancestorWith(file, dirname(directory));
}

/** The text of a file; '' if the file cannot be read, for example because its process has ended. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Makes a folder where it is missing, for its owner alone, and gives its path. */
export function folder(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** What this program and those that it starts write from now on, only their owner can read; so with what an older version wrote. */
export function keepPrivate(): void {
  process.umask(0o077);
  chmodSync(folder(root, '.sidecart'), 0o700);
}
