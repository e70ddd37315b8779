/** Networks that share nothing, each on a rank: runs this rank's own and gathers the outputs of the others. */
import type { nn, Tensor } from '@cohort-ml/torch';
import type { Network, NetworkOutput, StageOutputs } from '../../models/network.ts';
import { at } from '../../support/at.ts';
import { leaf, Peers, viewOf, type CohortBatch, type Refine, type Topology } from '../topology.ts';
import type { Exchange } from './exchange.ts';

/** An output of networks that methods compute with; what a method does not name stays on its rank. */
export type CrossingOutput = 'logits' | 'embedding' | 'lastStage' | 'stages';

/** Everything, for methods that do not say what they need. */
export const everyOutput: readonly CrossingOutput[] = ['logits', 'embedding', 'stages'];

/** Peers on several ranks. */
export class DistributedPeers implements Topology {
  readonly isSeparable = true;
  readonly #whole: Peers;

  /** @param crossing the outputs that other ranks compute with */
  constructor(
    private readonly networks: readonly Network[],
    private readonly exchange: Exchange,
    private readonly crossing: readonly CrossingOutput[] = everyOutput,
  ) {
    this.#whole = new Peers(networks);
  }

  run(batch: CohortBatch, keepStages = false): NetworkOutput[] {
    if (this.exchange.isWhole) return this.#whole.run(batch, keepStages);
    const own = this.#runOwn(batch, keepStages).map(({ logits, embedding, stages }, place) =>
      [logits, embedding, ...stages].map((each) => leaf(batch, at(this.exchange.own, place), each)),
    );
    return this.exchange
      .gather(own, `outputs ${String(keepStages)}`, (place, count) => this.#crosses(place, count))
      .map(([logits, embedding, ...stages]) => ({ logits: some(logits), embedding: some(embedding), stages }));
  }

  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    if (this.exchange.isWhole) return this.#whole.runRefined(batch, refine);
    const { own: places } = this.exchange;
    const own = refine(this.#runOwn(batch, true), places).map(({ embeddings, logits }, place) =>
      [...embeddings, ...logits].map((each) => leaf(batch, at(places, place), each)),
    );
    // As many embeddings as logits, stage by stage.
    return this.exchange
      .gather(own, 'refined', (place, count) =>
        this.crossing.includes(place < count / 2 ? 'embedding' : 'logits'),
      )
      .map((outputs) => ({
        embeddings: outputs.slice(0, outputs.length / 2),
        logits: outputs.slice(outputs.length / 2),
      }));
  }

  parameters(): nn.Parameter[] {
    return this.#whole.parameters();
  }

  over(networks: readonly Network[]): DistributedPeers {
    return new DistributedPeers(networks, this.exchange, this.crossing);
  }

  #runOwn(batch: CohortBatch, keepStages: boolean): NetworkOutput[] {
    return this.exchange.own.map((index) => {
      const network = at(this.networks, index, 'the networks');
      const images = viewOf(batch, index);
      return keepStages ? network.callWithStages(images) : network.call(images);
    });
  }

  /** Outputs are logits, the embedding, and stages where they were asked for. */
  #crosses(place: number, count: number): boolean {
    if (place === 0) return this.crossing.includes('logits');
    if (place === 1) return this.crossing.includes('embedding');
    return this.crossing.includes('stages') || (place === count - 1 && this.crossing.includes('lastStage'));
  }
}

function some(output: Tensor | undefined): Tensor {
  if (output === undefined) throw new RangeError('DistributedPeers: expected logits and an embedding, got neither.');
  return output;
}
