import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { StateStore, StateEntry } from '../../services/shared/dapr/state-store.ts';
import { openSqlite } from '../support/sqlite.ts';

/** The database of a service. Its sidecar may use it at the same time. */
export interface StateDatabase {
  /** Reads and writes documents as the sidecar does, without ETags and expiry. */
  state: StateStore;
  /** Runs `write` in one transaction. */
  transaction: (write: () => Promise<void>) => Promise<void>;
  close: () => void;
}

/** @param dataDir the folder of the system. @throws Error if this Node.js has no SQLite */
export function openDatabase(dataDir: string, app: string): StateDatabase {
  const database = openSqlite(join(dataDir, 'state', `${app}.db`));
  // The data of a benchmark may be lost with the power.
  database.exec('PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000');
  const select = database.prepare('SELECT value, etag FROM state WHERE key = ?');
  const upsert = database.prepare(
    'INSERT OR REPLACE INTO state (key, value, is_binary, etag) VALUES (?, ?, 0, ?)',
  );
  const keyOf = (key: string) => `${app}||${key}`;

  function read(key: string): StateEntry<unknown> | undefined {
    const row = select.get(keyOf(key)) as { value: string; etag: string } | undefined;
    return row && { value: JSON.parse(row.value), etag: row.etag };
  }

  return {
    state: {
      get: async <T>(key: string) => read(key) as StateEntry<T> | undefined,
      getMany: async <T>(keys: readonly string[]) =>
        new Map(
          keys.flatMap((key): [string, StateEntry<T>][] => {
            const found = read(key) as StateEntry<T> | undefined;
            return found ? [[key, found]] : [];
          }),
        ),
      async write(...writes) {
        for (const write of writes)
          if (write.op === 'put') upsert.run(keyOf(write.key), JSON.stringify(write.value), randomUUID());
      },
    },
    async transaction(write) {
      database.exec('BEGIN IMMEDIATE');
      await write();
      database.exec('COMMIT');
    },
    close: () => database.close(),
  };
}
