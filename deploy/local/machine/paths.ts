import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. This file runs as TypeScript in tests, and compiled below dist. */
export const root = ancestorWith('dapr.yaml', dirname(fileURLToPath(import.meta.url)));

/** Empty if this user has no entry in /etc/passwd and HOME is not set. */
export const home = homeOfUser();

/** A relative path starts at the folder in which npm was called. An empty variable counts as missing. */
const { SIDECART_CACHE_DIR, XDG_CACHE_HOME, INIT_CWD = '' } = process.env;

/** The folder for downloaded and built programs, which all checkouts share. The commands require a home (settings.ts). */
export const cacheDir = SIDECART_CACHE_DIR
  ? resolve(INIT_CWD, SIDECART_CACHE_DIR)
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
export function readTextOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Creates a folder if it is missing, readable only by its owner. @returns its path */
export function ensureFolder(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Makes new files of this program and its children readable only by their owner, and closes `.sidecart` to others. */
export function restrictFileAccess(): void {
  process.umask(0o077);
  chmodSync(ensureFolder(root, '.sidecart'), 0o700);
}
