const NO_LIMIT = '1000000000';

/** Gateway settings for tests that send many requests from one address. */
export const NO_RATE_LIMITS = {
  RATE_LIMIT_DEFAULT: NO_LIMIT,
  RATE_LIMIT_API: NO_LIMIT,
  RATE_LIMIT_AUTH: NO_LIMIT,
};
