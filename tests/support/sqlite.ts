/** The part of https://nodejs.org/api/sqlite.html that is used here. The types of Node.js 20 do not have it. */
interface Database {
  exec: (sql: string) => void;
  prepare: (sql: string) => {
    all: () => unknown[];
    get: (...values: string[]) => unknown;
    run: (...values: string[]) => void;
  };
  close: () => void;
}

interface Sqlite {
  DatabaseSync: new (path: string, options?: { readOnly: boolean }) => Database;
}

const sqlite = process.getBuiltinModule('node:sqlite') as Sqlite | undefined;

/** Node.js before 22.13 has no SQLite. */
export const hasSqlite = sqlite !== undefined;

/**
 * @param file the path, or an address such as `file:…?mode=ro`
 * @throws Error without SQLite
 */
export function openSqlite(file: string, { readOnly = false } = {}): Database {
  if (!sqlite) throw new Error('This needs Node.js 22.13 or newer.');
  return new sqlite.DatabaseSync(file, { readOnly });
}
