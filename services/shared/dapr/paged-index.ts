import { decodeCursor, encodeCursor } from '../util/cursor.ts';
import type { StateStore, StateOperation } from './state-store.ts';

/**
 * An append-only list of ids in a key-value store, stored as numbered pages. Appending writes two small documents,
 * independent of the length of the list.
 */
export interface PagedIndex {
  /** The writes that append these ids. They belong in the transaction that saves the listed documents. */
  append: (ids: readonly string[]) => Promise<StateOperation[]>;
  /**
   * Up to `limit` ids before `cursor`, newest first, and the cursor of the next page, or null.
   *
   * @throws InvalidCursorError
   */
  page: (cursor: string | undefined, limit: number) => Promise<{ ids: string[]; nextCursor: string | null }>;
  /** Up to `limit` ids from `position` on, oldest first, and the next position, or null. The first position is 0. */
  readForward: (position: number, limit: number) => Promise<{ ids: string[]; next: number | null }>;
}

interface Head {
  count: number;
}

const PAGE_SIZE = 100;

/** @param name the name of the list in the state keys of this service */
export function createPagedIndex(state: StateStore, name: string): PagedIndex {
  const headKey = `index:${name}`;
  const pageKey = (page: number) => `index:${name}:${page}`;

  /** The ids at these positions, the end not included, oldest first. */
  async function read(start: number, end: number): Promise<string[]> {
    const numbers = new Set<number>();
    for (let page = Math.floor(start / PAGE_SIZE); page * PAGE_SIZE < end; page++) numbers.add(page);
    const pages = await state.getMany<string[]>([...numbers].map(pageKey));
    const ids: string[] = [];
    for (let position = start; position < end; position++) {
      const id = pages.get(pageKey(Math.floor(position / PAGE_SIZE)))?.value[position % PAGE_SIZE];
      if (id !== undefined) ids.push(id);
    }
    return ids;
  }

  return {
    async append(ids) {
      const head = await state.get<Head>(headKey);
      let count = head?.value.count ?? 0;
      const lastKey = pageKey(Math.floor(count / PAGE_SIZE));
      const last = count % PAGE_SIZE === 0 ? undefined : await state.get<string[]>(lastKey);
      const pages = new Map([[lastKey, { ids: [...(last?.value ?? [])], etag: last?.etag }]]);
      for (const id of ids) {
        const key = pageKey(Math.floor(count / PAGE_SIZE));
        const page = pages.get(key) ?? { ids: [], etag: undefined };
        page.ids.push(id);
        pages.set(key, page);
        count += 1;
      }
      return [
        { op: 'put', key: headKey, value: { count }, etag: head?.etag },
        ...[...pages].map(([key, page]): StateOperation => ({
          op: 'put',
          key,
          value: page.ids,
          etag: page.etag,
        })),
      ];
    },

    async page(cursor, limit) {
      const head = await state.get<Head>(headKey);
      const end = Math.min(
        cursor === undefined ? Number.MAX_SAFE_INTEGER : decode(cursor),
        head?.value.count ?? 0,
      );
      const start = Math.max(0, end - limit);
      const ids = await read(start, end);
      return { ids: ids.toReversed(), nextCursor: start > 0 ? encode(start) : null };
    },

    async readForward(position, limit) {
      const head = await state.get<Head>(headKey);
      const ids = await read(position, Math.min(position + limit, head?.value.count ?? 0));
      return { ids, next: ids.length < limit ? null : position + limit };
    },
  };
}

const encode = (position: number) => encodeCursor(`before:${position}`);

const decode = (cursor: string) => Number(decodeCursor(cursor, /^before:(\d{1,15})$/)[0]);
