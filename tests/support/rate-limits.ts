import type { Caller } from './shop.ts';

/** The RATE_LIMIT_API that a gateway states in its responses to this caller. */
export async function getApiLimit(api: string, { call }: Caller): Promise<number> {
  const headers = { authorization: `Bearer ${call.tokens()?.access_token}` };
  const response = await fetch(`${api}/api/inventory`, { headers });
  return Number(/"api"; q=(\d+)/.exec(response.headers.get('ratelimit-policy') ?? '')?.[1]);
}
