/** Networks that share nothing, each on a rank: runs this rank's own and gathers the outputs of the others. */
import type { nn, Tensor } from '@cohort-ml/torch';
import type { Network, NetworkOutput, StageOutputs } from '../../models/network.ts';
import { at } from '../../support/at.ts';
import { leaf, Peers, rowsOf, viewOf, type CohortBatch, type Refine, type Topology } from '../topology.ts';
import { gatherOutputs, gatherRefined, type CrossingOutput, type Distribution } from './distribution.ts';

/** Peers on several ranks. */
export class DistributedPeers implements Topology {
  readonly isSeparable = true;
  readonly #networks: readonly Network[];
  readonly #distribution: Distribution;
  readonly #whole: Peers;

  constructor(networks: readonly Network[], distribution: Distribution) {
    this.#networks = networks;
    this.#distribution = distribution;
    this.#whole = new Peers(networks);
  }

  run(batch: CohortBatch, keepStages = false): NetworkOutput[] {
    const { exchange } = this.#distribution;
    if (exchange.isWhole) return this.#whole.run(batch, keepStages);
    const own = this.#runOwn(batch, keepStages).map(({ logits, embedding, stages }, index) => {
      const place = at(exchange.own, index, 'the own networks');
      return {
        logits: leaf(batch, place, logits),
        embedding: leaf(batch, place, embedding),
        stages: stages.map((stage) => leaf(batch, place, stage)),
      };
    });
    return gatherOutputs(this.#distribution, own, keepStages, rowsOf(batch));
  }

  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    const { exchange } = this.#distribution;
    if (exchange.isWhole) return this.#whole.runRefined(batch, refine);
    const refined = exchange.normalising(() => refine(this.#runOwn(batch, true), exchange.own));
    const own = refined.map(({ embeddings, logits }, index) => {
      const place = at(exchange.own, index, 'the own networks');
      return {
        embeddings: embeddings.map((each) => leaf(batch, place, each)),
        logits: logits.map((each) => leaf(batch, place, each)),
      };
    });
    return gatherRefined(this.#distribution, own, rowsOf(batch));
  }

  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[] {
    return this.#distribution.exchange.ofEach(outputs, compute);
  }

  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[] {
    return this.#distribution.exchange.parts(logits, compute);
  }

  parameters(): nn.Parameter[] {
    return this.#whole.parameters();
  }

  over(networks: readonly Network[], crossing: readonly CrossingOutput[] = ['logits']): DistributedPeers {
    return new DistributedPeers(networks, { ...this.#distribution, crossing });
  }

  #runOwn(batch: CohortBatch, keepStages: boolean): NetworkOutput[] {
    const { exchange } = this.#distribution;
    return exchange.normalising(() =>
      exchange.own.map((index) => {
        const network = at(this.#networks, index, 'the networks');
        const images = exchange.ownRows(viewOf(batch, index));
        return keepStages ? network.callWithStages(images) : network.call(images);
      }),
    );
  }
}
