/** Whether ranks belong together: code, recipe, images, threads and processor are compared before the first step. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { ProcessGroup } from '@cohort-ml/torch';
import { DistributionError } from '../../cohort/distributionError.ts';
import { differences, machineDifferences, type Provenance } from '../../checkpoints/provenance.ts';
import { placementText, type Placement } from '../../topology/index.ts';
import { at } from '../../support/at.ts';

/** A rank as the others see it. */
interface RankFacts {
  readonly host: string;
  readonly placement: string;
  readonly provenance: Provenance;
}

/**
 * Compares this rank with the others.
 *
 * @returns what may make the last digits differ, in words
 * @throws {DistributionError} on every rank, naming all that differ from rank 0, and how
 */
export function agreeOnTraining(
  group: Pick<ProcessGroup, 'rank' | 'allGatherText'>,
  placement: Placement,
  provenance: Provenance,
): string[] {
  const own: RankFacts = { host: hostname(), placement: placementText(placement), provenance };
  const all = group.allGatherText(JSON.stringify(own)).map((text) => JSON.parse(text) as RankFacts);
  const first = at(all, 0, 'the ranks');
  const refused: string[] = [];
  const told: string[] = [];
  for (const [rank, facts] of all.entries()) {
    const name = `rank ${rank} (${facts.host})`;
    const { code, data, recipe } = differences(first.provenance, facts.provenance);
    refused.push(
      ...[...code, ...data, ...recipe].map((difference) => `${name}: ${asComparison(difference)}`),
    );
    if (facts.placement !== first.placement) {
      refused.push(`${name}: has the placement ${facts.placement} where rank 0 has ${first.placement}`);
    }
    const [threads, before] = [facts.provenance.machine.threads, first.provenance.machine.threads];
    if (threads !== before) {
      refused.push(`${name}: computes with ${threads} threads where rank 0 has ${before} (engine.threads)`);
    }
    const { machine } = facts.provenance;
    const other = { ...facts.provenance, machine: { ...machine, threads: before } };
    told.push(...machineDifferences(first.provenance, other).map((each) => `${name}: ${each}`));
  }
  if (refused.length === 0) return told;
  throw new DistributionError(
    `The ranks do not belong together:\n${[...new Set(refused)].map((line) => `  ${line}`).join('\n')}\nStart all ranks with the same version of Cohort, recipe, images and number of threads.`,
  );
}

/** The words for two checkpoints, `X became Y`, as words for two ranks. */
function asComparison(difference: string): string {
  return difference
    .replace(/^(.*) became (.*)$/s, 'has $2 where rank 0 has $1')
    .replace(/^(\S+) was (.*) and is (.*)$/s, 'has $1 = $3 where rank 0 has $2');
}

/** A short name for anything that JSON holds, to compare. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
