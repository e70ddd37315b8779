/**
 * Which rank this process is, from the variables that launchers set: torchrun's (which Kubernetes' PyTorchJob sets too), or
 * SLURM's.
 */
import { CohortError } from '@cohort-ml/errors';

/** Variables of the environment. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** A rank's place in its group. */
export interface RankPlace {
  readonly rank: number;
  readonly size: number;
  /** Its place among the ranks of its host. */
  readonly localRank: number;
  /** Where the ranks find each other: host and port that rank 0 listens at. */
  readonly masterHost: string;
  readonly masterPort: number;
}

/** The variables do not name a rank, or contradict each other. */
export class RankPlaceError extends CohortError {
  override readonly name = 'RankPlaceError';
}

/** Port of torchrun, and ours where nobody names one. */
export const defaultPort = 29_500;

/** The rank that the environment names; null where it names none. @throws {RankPlaceError} for numbers that cannot be */
export function rankPlace(variables: Variables): RankPlace | null {
  if (variables.RANK !== undefined && variables.WORLD_SIZE !== undefined) return fromTorchrun(variables);
  if (variables.SLURM_PROCID !== undefined && variables.SLURM_NTASKS !== undefined)
    return fromSlurm(variables);
  return null;
}

function fromTorchrun(variables: Variables): RankPlace {
  const size = wholeNumber(variables, 'WORLD_SIZE', 1);
  return checked({
    rank: wholeNumber(variables, 'RANK', 0),
    size,
    localRank: variables.LOCAL_RANK === undefined ? 0 : wholeNumber(variables, 'LOCAL_RANK', 0),
    masterHost: variables.MASTER_ADDR ?? (size === 1 ? '127.0.0.1' : missing('MASTER_ADDR')),
    masterPort: variables.MASTER_PORT === undefined ? defaultPort : wholeNumber(variables, 'MASTER_PORT', 1),
  });
}

function fromSlurm(variables: Variables): RankPlace {
  const nodes = variables.SLURM_STEP_NODELIST ?? variables.SLURM_JOB_NODELIST ?? variables.SLURM_NODELIST;
  const size = wholeNumber(variables, 'SLURM_NTASKS', 1);
  const job = Number(variables.SLURM_JOB_ID ?? 0);
  return checked({
    rank: wholeNumber(variables, 'SLURM_PROCID', 0),
    size,
    localRank: variables.SLURM_LOCALID === undefined ? 0 : wholeNumber(variables, 'SLURM_LOCALID', 0),
    masterHost:
      variables.MASTER_ADDR ??
      (nodes === undefined ? (size === 1 ? '127.0.0.1' : missing('SLURM_JOB_NODELIST')) : firstHost(nodes)),
    // Jobs that share a node get ports of their own.
    masterPort:
      variables.MASTER_PORT === undefined
        ? defaultPort + 2 * ((Number.isInteger(job) ? job : 0) % 5000)
        : wholeNumber(variables, 'MASTER_PORT', 1),
  });
}

/** The first host of SLURM's short form, such as `node[03-05,09],login`. */
export function firstHost(nodes: string): string {
  const [, prefix = '', list, suffix = ''] = /^([^[,]*)(?:\[([^\]]*)\]([^,]*))?/.exec(nodes) ?? [];
  if (list === undefined) return prefix;
  return `${prefix}${/^\d+/.exec(list)?.[0] ?? ''}${suffix}`;
}

function checked(place: RankPlace): RankPlace {
  if (place.rank < place.size) return place;
  throw new RankPlaceError(
    `The environment names rank ${place.rank} of ${place.size} ranks, which count from 0. Check RANK and WORLD_SIZE, or SLURM_PROCID and SLURM_NTASKS.`,
  );
}

function wholeNumber(variables: Variables, name: string, least: number): number {
  const text = variables[name] ?? '';
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least) return value;
  throw new RankPlaceError(
    `${name} is '${text}', expected a whole number from ${least}. Correct it, or start with cohort launch --nproc.`,
  );
}

function missing(name: string): never {
  throw new RankPlaceError(
    `${name} is not set, and the ranks need it to find rank 0. Set it to the name or address of the host of rank 0.`,
  );
}
