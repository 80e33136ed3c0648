/** What names this machine and no other. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '[::1]'];

/**
 * Where a proxy is set (HTTP_PROXY, and NODE_USE_ENV_PROXY for Node.js), it would get what the parts of a local system say to each
 * other, tokens included. Go leaves the loopback alone by itself; Node.js, grpc-js and Python do not. Both spellings are set,
 * since each of them prefers another one. Takes effect in processes that start later.
 */
export function keepLoopbackFromProxies(env = process.env) {
  const given = [env.no_proxy, env.NO_PROXY].filter(Boolean).flatMap((list) => list.split(/[,\s]+/));
  // A star means that nothing goes through a proxy, but only where it stands alone.
  const all = given.includes('*') ? ['*'] : [...new Set([...given, ...LOOPBACK])];
  env.no_proxy = env.NO_PROXY = all.filter(Boolean).join(',');
}
