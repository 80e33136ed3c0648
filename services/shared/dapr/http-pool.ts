import { createRequire } from 'node:module';
import type { Pool } from 'undici';

/**
 * Loads undici's pool only. The index of undici also loads fetch, caches, mocks and WebSockets, which need memory
 * (services/decisions/0112-memory-at-rest.md).
 */
const load = createRequire(import.meta.url);
const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as { prototype: object };
// The index of undici adds these methods to a dispatcher as well.
Object.assign(prototype, load('undici/lib/api/index.js'));
const PoolClass = load('undici/lib/dispatcher/pool.js') as typeof Pool;

/** A pool of connections to one origin. Connections are opened on demand. */
export const createPool = (origin: string, options: Pool.Options): Pool => new PoolClass(origin, options);
