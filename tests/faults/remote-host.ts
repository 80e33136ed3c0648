import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { RemoteHost } from '../../deploy/local/system/app-processes.ts';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/** A second host on this machine: a network namespace with a virtual cable that can be cut. */
export interface SeparableHost {
  /** The address of this host, as the remote host sees it. */
  address: string;
  host: RemoteHost;
  cut: () => void;
  join: () => void;
  remove: () => void;
}

/** Creates the host. Needs root and iproute2. Returns undefined if the machine does not support it. */
export function createRemoteHost(number: number): SeparableHost | undefined {
  const name = `sidecart-${number}`;
  const link = `sidecart${number}`;
  const [near, far] = [`10.77.${number}.1`, `10.77.${number}.2`];
  const hosts = `/etc/netns/${name}`;
  const ip = (...args: string[]) => readOutput('ip', ...args) !== undefined;
  const remove = () => {
    // A running process keeps the namespace and its cable.
    ip('link', 'del', link);
    ip('netns', 'del', name);
    rmSync(hosts, { recursive: true, force: true });
  };
  if (process.getuid?.() !== 0 || !ip('-V')) return undefined;
  // A killed run leaves its namespace behind.
  remove();
  // `ip netns exec` mounts this file as /etc/hosts, so that localhost is this host.
  mkdirSync(hosts, { recursive: true });
  writeFileSync(`${hosts}/hosts`, `${near} localhost\n`);
  const made =
    ip('netns', 'add', name) &&
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name) &&
    ip('addr', 'add', `${near}/30`, 'dev', link) &&
    ip('link', 'set', link, 'up') &&
    ip('-n', name, 'addr', 'add', `${far}/30`, 'dev', 'eth0') &&
    ip('-n', name, 'link', 'set', 'eth0', 'up') &&
    ip('-n', name, 'link', 'set', 'lo', 'up');
  if (!made) {
    remove();
    return undefined;
  }
  return {
    address: near,
    host: { address: far, enter: ['ip', 'netns', 'exec', name] },
    // The remote end goes down. With the near end down, this host would lose its own address.
    cut: () => void ip('-n', name, 'link', 'set', 'eth0', 'down'),
    join: () => void ip('-n', name, 'link', 'set', 'eth0', 'up'),
    remove,
  };
}
