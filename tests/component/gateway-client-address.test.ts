import { describe, expect, it } from 'vitest';
import { createClientAddress } from '../../services/gateway/limits/client-address.ts';

describe('the address that the rate limits use', () => {
  const addressOf = createClientAddress(['loopback', '10.0.0.0/8', '2001:db8:ffff::/48']);
  const PROXY = '127.0.0.1';

  it.each<[what: string, peer: string | undefined, forwardedFor: string | undefined, address: string]>([
    ['it comes directly', '203.0.113.7', undefined, '203.0.113.7'],
    ['a stranger names another address', '203.0.113.7', '192.0.2.1', '203.0.113.7'],
    ['a proxy names no address', PROXY, undefined, PROXY],
    ['a proxy names one', PROXY, '203.0.113.7', '203.0.113.7'],
    ['a proxy names one with a port', PROXY, '203.0.113.7:40001', '203.0.113.7'],
    ['a proxy names one with a port that is empty', PROXY, '203.0.113.7:', '203.0.113.7'],
    ['a proxy names an IPv6 one', PROXY, '2001:db8::1', '2001:db8::/56'],
    ['a proxy names an IPv6 one in brackets', PROXY, '[2001:db8::1]', '2001:db8::/56'],
    ['a proxy names an IPv6 one with a port', PROXY, '[2001:db8::1]:40001', '2001:db8::/56'],
    ['a proxy names an IPv4 one as IPv6', PROXY, '::ffff:203.0.113.7', '203.0.113.7'],
    ['the proxy connects by IPv6', '::ffff:127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['a client names one, and the proxy adds its own', PROXY, '192.0.2.1, 203.0.113.7:1', '203.0.113.7'],
    ['there are two proxies, and ports', PROXY, '203.0.113.7:1, 10.1.2.3:2', '203.0.113.7'],
    ['there are two proxies of IPv6', PROXY, '[2001:db8::1]:1,[2001:db8:ffff::2]:2', '2001:db8::/56'],
    ['all are proxies', PROXY, '10.0.0.1', '10.0.0.1'],
    ['a proxy hides the address', PROXY, 'unknown', PROXY],
    ['a proxy gives it another name', PROXY, '_hidden', PROXY],
    ['a client sends nonsense, and the proxy adds its own', PROXY, 'x:1, 203.0.113.7', '203.0.113.7'],
    ['a proxy adds nothing', PROXY, '203.0.113.7,', PROXY],
    ['the connection is gone', undefined, '203.0.113.7', 'unknown'],
  ])('When %s, then it is that of the table', (_, peer, forwardedFor, address) => {
    expect(addressOf(peer, forwardedFor)).toBe(address);
  });

  it('When no proxy is trusted, then forwarding headers are ignored', () => {
    expect(createClientAddress([])(PROXY, '203.0.113.7')).toBe(PROXY);
  });
});
