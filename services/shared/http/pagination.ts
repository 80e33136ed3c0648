import type { Request, Response } from 'express';

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
