/**
 * The options of a test that limits a duration. A busy machine may delay one try, but a wait that a defect adds delays all of
 * them.
 */
export const TIMED = { retry: 2 };
