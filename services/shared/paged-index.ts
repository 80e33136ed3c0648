import type { Request, Response } from 'express';
import { z } from 'zod';
import { Problem } from './problem.ts';
import type { StateStore, Write } from './state.ts';
import { inDigits } from './types.ts';

/**
 * An append-only list of ids in a key-value store, stored as numbered pages. Appending writes two small documents,
 * independent of the length of the list.
 */
export interface PagedIndex {
  /** The writes that append these ids. They belong in the transaction that saves the listed documents. */
  append: (ids: readonly string[]) => Promise<Write[]>;
  /**
   * Up to `limit` ids before `cursor`, newest first, and the cursor of the next page, or null.
   *
   * @throws Problem 400 for a cursor that does not belong to this list
   */
  page: (cursor: string | undefined, limit: number) => Promise<{ ids: string[]; nextCursor: string | null }>;
  /** Up to `limit` ids from `position` on, oldest first, and the next position, or null. The first position is 0. */
  from: (position: number, limit: number) => Promise<{ ids: string[]; next: number | null }>;
}

interface Head {
  count: number;
}

const PAGE_SIZE = 100;

/** @param name the name of the list in the state keys of this service */
export function pagedIndex(state: StateStore, name: string): PagedIndex {
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
        ...[...pages].map(([key, page]): Write => ({ op: 'put', key, value: page.ids, etag: page.etag })),
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

    async from(position, limit) {
      const head = await state.get<Head>(headKey);
      const ids = await read(position, Math.min(position + limit, head?.value.count ?? 0));
      return { ids, next: ids.length < limit ? null : position + limit };
    },
  };
}

const encode = (position: number) => Buffer.from(`before:${position}`).toString('base64url');

function decode(cursor: string): number {
  const position = /^before:(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1];
  if (position === undefined || encode(Number(position)) !== cursor) throw foreignCursor();
  return Number(position);
}

/** The cursor does not belong to the list. */
export const foreignCursor = () =>
  new Problem(400, 'invalid-query', 'The cursor does not belong to this list.', {
    errors: [{ field: 'cursor', message: 'must be a next_cursor of this list' }],
  });

/** The query parameters of every list. */
export const pageQuery = z.object({
  cursor: z.string().max(64).optional(),
  limit: inDigits(z.int().min(1).max(100)).prefault(20),
});

/**
 * Sends a page of a list: `{ items, next_cursor }`, and a `Link` to the next page if there is one (RFC 8288).
 */
export function sendPage(
  req: Request,
  res: Response,
  { items, nextCursor }: { items: readonly unknown[]; nextCursor: string | null },
): void {
  if (nextCursor) {
    const query = new URLSearchParams(req.query as Record<string, string>);
    query.set('cursor', nextCursor);
    res.set('link', `<${req.path}?${query.toString()}>; rel="next"`);
  }
  res.set('cache-control', 'no-store').json({ items, next_cursor: nextCursor });
}
