/** Names of the variables by which a launcher and its ranks understand each other. */

/** Set for the processes that a launcher starts: they are ranks, and not trainings of their own. */
export const launchedVariable = 'COHORT_LAUNCHED';

/** The placement that `cohort launch` was given. */
export const placementVariable = 'COHORT_PLACEMENT';

/** How many ranks share each batch, as `cohort launch` was given it. */
export const shardsVariable = 'COHORT_SHARDS';

/** Longest wait for other ranks, in seconds. */
export const timeoutVariable = 'COHORT_RANK_TIMEOUT';

/** The secret that launchers on several hosts share. */
export const tokenVariable = 'COHORT_LAUNCH_TOKEN';
