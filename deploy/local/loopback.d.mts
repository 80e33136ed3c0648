export function keepLoopbackFromProxies(env?: Record<string, string | undefined>): void;
