/** Which rank of a distributed training holds which networks. */
import { CohortError } from '@cohort-ml/errors';

/** The places of the networks that each rank holds, by rank; every network is in one place. */
export type Placement = readonly (readonly number[])[];

/** Networks and ranks do not go together. */
export class PlacementError extends CohortError {
  override readonly name = 'PlacementError';
}

/**
 * How many ranks differ in their networks, where so many share each batch.
 *
 * @throws {PlacementError} where ranks cannot be divided by that
 */
export function networkRanks(ranks: number, shards: number): number {
  if (ranks % shards === 0) return ranks / shards;
  throw new PlacementError({
    operation: 'spreading batches over ranks',
    expected: `a number of ranks that ${shards} divides, since so many share each batch`,
    received: `${ranks} ranks`,
    remedy: `Start ${Math.ceil(ranks / shards) * shards} ranks, or give another number to --shards.`,
  });
}

/**
 * Gives every rank the same number of neighbouring networks, or one more to the first where they do not divide.
 *
 * @throws {PlacementError} for more ranks than networks
 */
export function evenPlacement(networks: number, ranks: number): Placement {
  if (ranks > networks) {
    throw new PlacementError({
      operation: 'placing networks on ranks',
      expected: `at most as many ranks as the ${networks} networks of the recipe, since a network stays whole`,
      received: `${ranks} ranks`,
      remedy: `Start ${networks} ${networks === 1 ? 'rank' : 'ranks'} or fewer, name more networks, or let several ranks share each batch (--shards).`,
    });
  }
  const [least, extra] = [Math.floor(networks / ranks), networks % ranks];
  let next = 0;
  return Array.from({ length: ranks }, (_, rank) =>
    Array.from({ length: least + (rank < extra ? 1 : 0) }, () => next++),
  );
}

/**
 * Reads a placement as it is written on the command line: ranks with slashes between, their networks with commas, from 0;
 * `0,2/1` puts the first and third network on rank 0.
 *
 * @throws {PlacementError} for text of another form, and where a network is missing or named twice
 */
export function parsePlacement(text: string, networks: number, ranks: number): Placement {
  const placement = text.split('/').map((part) => part.split(',').map((word) => word.trim()));
  const words = placement.flat();
  const isSound = words.every((word) => /^\d+$/.test(word) && Number(word) < networks);
  if (
    !isSound ||
    placement.length !== ranks ||
    new Set(words).size !== words.length ||
    words.length !== networks
  ) {
    throw new PlacementError({
      operation: 'reading --placement',
      expected: `the networks 0 to ${networks - 1}, each once, on ${ranks} ranks: commas between networks, slashes between ranks`,
      received: `'${text}'`,
      remedy: `For example --placement ${evenPlacement(networks, Math.min(ranks, networks))
        .map((own) => own.join(','))
        .join('/')}.`,
    });
  }
  return placement.map((own) => own.map(Number).sort((left, right) => left - right));
}

/** The placement as {@link parsePlacement} reads it. */
export function placementText(placement: Placement): string {
  return placement.map((own) => own.join(',')).join('/');
}

/** The rank of every network, by place. */
export function ownersOf(placement: Placement): readonly number[] {
  const owners: number[] = [];
  for (const [rank, own] of placement.entries()) for (const network of own) owners[network] = rank;
  return owners;
}
