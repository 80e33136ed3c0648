/**
 * The clocks of two replicas may differ by this much, in either direction. What compares a time that another replica wrote with
 * its own clock has to come out right all the same: services/decisions/0022-clocks.md.
 */
export const CLOCKS_APART_SECONDS = 3_600;
