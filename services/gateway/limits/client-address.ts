import express from 'express';
import { ipKeyGenerator } from 'express-rate-limit';
import { isIP } from 'node:net';

/**
 * Returns the address for rate limits, from the peer of the connection and `X-Forwarded-For`: the last address that is not a
 * trusted proxy. For IPv6 it returns the network, because a client has a whole network of addresses.
 */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | undefined) => string;

/** @param trustedProxies in the syntax of https://expressjs.com/en/guide/behind-proxies.html */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = express()
    .set('trust proxy', [...trustedProxies])
    .get('trust proxy fn') as (address: string, hop: number) => boolean;

  return (peer = 'unknown', forwardedFor = '') => {
    const hops = forwardedFor.split(',').map(withoutPort);
    let address = peer;
    // A trusted proxy writes addresses only. Any other entry ends the search, and its writer is counted.
    for (let hop = 0; isTrusted(address, hop) && isIP(hops.at(-1) ?? '') !== 0; hop++)
      address = hops.pop() ?? address;
    return ipKeyGenerator(address);
  };
}

/** Removes the port that some proxies add: `203.0.113.7:4711`, `[2001:db8::1]:4711` (RFC 7239, 6). */
function withoutPort(hop: string): string {
  const text = hop.trim();
  return /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1] ?? /^([\d.]+):\d*$/.exec(text)?.[1] ?? text;
}
