/**
 * The maximum difference of two replicas' clocks. Code that compares its clock with the time of another replica must tolerate
 * this difference (services/decisions/0022-clocks.md).
 */
export const CLOCKS_APART_SECONDS = 3_600;
