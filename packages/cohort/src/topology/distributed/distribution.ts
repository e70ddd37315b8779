/** How networks are spread over ranks, and what of their outputs crosses: the same for every way to share layers. */
import type { Tensor } from '@cohort-ml/torch';
import type { NetworkOutput, StageOutputs } from '../../models/network.ts';
import type { Exchange } from './exchange.ts';

/** An output of networks that methods compute with; what a method does not name stays on its rank. */
export type CrossingOutput = 'logits' | 'embedding' | 'lastStage' | 'stages';

/** Everything, for methods that do not say what they need. */
export const everyOutput: readonly CrossingOutput[] = ['logits', 'embedding', 'stages'];

/** Networks on ranks. */
export interface Distribution {
  readonly exchange: Exchange;
  /** The outputs that other ranks compute with. */
  readonly crossing: readonly CrossingOutput[];
}

/**
 * Outputs of all networks over the whole batch, from those of the networks and rows that were run here.
 *
 * @param rows of the whole batch
 */
export function gatherOutputs(
  { exchange, crossing }: Distribution,
  own: readonly NetworkOutput[],
  keepStages: boolean,
  rows: number,
): NetworkOutput[] {
  if (exchange.isWhole) return [...own];
  const flat = own.map(({ logits, embedding, stages }) => [logits, embedding, ...stages]);
  const crosses = (place: number, count: number): boolean => {
    if (place === 0) return crossing.includes('logits');
    if (place === 1) return crossing.includes('embedding');
    return crossing.includes('stages') || (place === count - 1 && crossing.includes('lastStage'));
  };
  const gathered = exchange.gather(flat, `outputs ${String(keepStages)}`, crosses);
  // Logits of a network's own are always there for its cross-entropy.
  return exchange
    .joinRows(gathered, rows, (place, count, isOwn) => (isOwn && place === 0) || crosses(place, count))
    .map(([logits, embedding, ...stages]) => ({
      logits: present(logits),
      embedding: present(embedding),
      stages,
    }));
}

/** Outputs of all networks' stages, from those of the networks that were run here. */
export function gatherRefined(
  { exchange, crossing }: Distribution,
  own: readonly StageOutputs[],
  rows: number,
): StageOutputs[] {
  if (exchange.isWhole) return [...own];
  const flat = own.map(({ embeddings, logits }) => [...embeddings, ...logits]);
  // As many embeddings as logits, stage by stage.
  const crosses = (place: number, count: number): boolean =>
    crossing.includes(place < count / 2 ? 'embedding' : 'logits');
  return exchange
    .joinRows(
      exchange.gather(flat, 'refined', crosses),
      rows,
      (place, count, isOwn) => isOwn || crosses(place, count),
    )
    .map((outputs) => ({
      embeddings: outputs.slice(0, outputs.length / 2),
      logits: outputs.slice(outputs.length / 2),
    }));
}

function present(output: Tensor | undefined): Tensor {
  if (output === undefined)
    throw new RangeError('gatherOutputs: expected logits and an embedding, got neither.');
  return output;
}
