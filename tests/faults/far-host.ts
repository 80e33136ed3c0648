import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { RemoteHost } from '../../deploy/local/system/app-processes.ts';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/** A second host on this machine: a network namespace, joined to this one by a cable that can be pulled. */
export interface FarHost {
  /** The address at which it finds this host. */
  address: string;
  host: RemoteHost;
  cut: () => void;
  join: () => void;
  remove: () => void;
}

/** Makes it; undefined where the machine does not allow that. Needs root and iproute2. */
export function makeFarHost(number: number): FarHost | undefined {
  const name = `sidecart-${number}`;
  const link = `sidecart${number}`;
  const [near, far] = [`10.77.${number}.1`, `10.77.${number}.2`];
  const hosts = `/etc/netns/${name}`;
  const ip = (...args: string[]) => readOutput('ip', ...args) !== undefined;
  const remove = () => {
    // A process that is still there keeps the namespace, and with it the cable.
    ip('link', 'del', link);
    ip('netns', 'del', name);
    rmSync(hosts, { recursive: true, force: true });
  };
  if (process.getuid?.() !== 0 || !ip('-V')) return undefined;
  // Left over where a run was killed.
  remove();
  // `ip netns exec` puts this file in the place of /etc/hosts: what is said to be on localhost is on this host.
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
    // At its end: at ours, this host would lose its own address.
    cut: () => void ip('-n', name, 'link', 'set', 'eth0', 'down'),
    join: () => void ip('-n', name, 'link', 'set', 'eth0', 'up'),
    remove,
  };
}
