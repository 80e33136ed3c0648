/** The names of this machine. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '[::1]'];

/**
 * Excludes this machine from proxies. Otherwise a proxy (HTTP_PROXY, and NODE_USE_ENV_PROXY for Node.js) would receive the calls
 * between the processes of a local system, with their tokens. Go excludes the loopback by itself, but Node.js, grpc-js and Python
 * do not. They prefer different spellings of the variable, so both are set. The change affects processes that start later.
 */
export function keepLoopbackFromProxies(env = process.env) {
  const given = [env.no_proxy, env.NO_PROXY].filter(Boolean).flatMap((list) => list.split(/[,\s]+/));
  // A star excludes all hosts, but only if it is the whole value.
  const all = given.includes('*') ? ['*'] : [...new Set([...given, ...LOOPBACK])];
  env.no_proxy = env.NO_PROXY = all.filter(Boolean).join(',');
}
