import express from 'express';
import { ipKeyGenerator } from 'express-rate-limit';
import { isIP } from 'node:net';

/**
 * The address that a request is counted by, from the address of the connection's other end and the values of
 * `X-Forwarded-For`: the last one that no trusted proxy has. IPv6 callers have whole networks of addresses, so their network
 * is what is counted.
 */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | undefined) => string;

/** @param trustedProxies as https://expressjs.com/en/guide/behind-proxies.html has them */
export function clientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = express()
    .set('trust proxy', [...trustedProxies])
    .get('trust proxy fn') as (address: string, hop: number) => boolean;

  return (peer = 'unknown', forwardedFor = '') => {
    const hops = forwardedFor.split(',').map(withoutPort);
    let address = peer;
    // What is no address was not written by a proxy that can be trusted with it: who wrote it is counted instead.
    for (let hop = 0; isTrusted(address, hop) && isIP(hops.at(-1) ?? '') !== 0; hop++)
      address = hops.pop() ?? address;
    return ipKeyGenerator(address);
  };
}

/** Some proxies name the client's port, too: `203.0.113.7:4711`, `[2001:db8::1]:4711` (RFC 7239, 6). */
function withoutPort(hop: string): string {
  const text = hop.trim();
  return /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1] ?? /^([\d.]+):\d*$/.exec(text)?.[1] ?? text;
}
