import { z } from 'zod';

/** Money in the currency's minor unit (cents). */
export const money = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
/** ISO 4217 code. */
export const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR');
/** RFC 3339 in UTC. */
export const timestamp = z.iso.datetime();
/** Ids of products are the shop's own words, such as `mug-blue`. Case matters: services/decisions/0050-one-spelling.md. */
export const productId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ -');
/** The body of a request that needs none. */
export const noBody = z.strictObject({});
/**
 * Ids that Sidecart gives: UUIDv7, or a derived UUIDv8 / v5. Capitals are accepted, as RFC 9562 (4) asks, and become small
 * letters here, so that all code behind a schema sees one spelling.
 */
export const id = z.uuid().toLowerCase();
