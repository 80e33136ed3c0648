import { createRequire } from 'node:module';
import type { Pool } from 'undici';

/**
 * Undici's pool, without the rest of undici: its index loads fetch, caches, mocks and WebSockets, which nothing here uses and
 * which cost each process 8 MB (services/decisions/0112-memory-at-rest.md).
 */
const load = createRequire(import.meta.url);
const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as { prototype: object };
// As the index does: a dispatcher by itself only dispatches.
Object.assign(prototype, load('undici/lib/api/index.js'));
const PoolClass = load('undici/lib/dispatcher/pool.js') as typeof Pool;

/** Connections to one origin, which are made when they are needed. */
export const createPool = (origin: string, options: Pool.Options): Pool => new PoolClass(origin, options);
