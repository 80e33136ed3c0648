const NO_LIMIT = '1000000000';

/** The environment of a gateway at which one address may be as many callers as a test needs. */
export const UNLIMITED = {
  RATE_LIMIT_DEFAULT: NO_LIMIT,
  RATE_LIMIT_API: NO_LIMIT,
  RATE_LIMIT_AUTH: NO_LIMIT,
};
