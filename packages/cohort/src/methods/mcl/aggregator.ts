/** Aggregator (Yang et al., arXiv 2207.11518): attention over a network's stages that makes its strongest logits. */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import type { StageOutputs } from '../../models/network.ts';
import { at, lastOf } from '../../support/at.ts';

/** A mean of the stages' logits with weights `softmax(fc2(relu(fc1(embeddings))))`, of its own for every sample. */
export class Aggregator extends nn.Module<StageOutputs> {
  readonly fc1: nn.Linear;
  readonly fc2: nn.Linear;

  /** @param widths of the embeddings of every stage; the hidden layer is as wide as the last */
  constructor(widths: readonly number[], generator: Generator) {
    super();
    const all = widths.reduce((sum, width) => sum + width, 0);
    const hidden = lastOf(widths, 'the widths of a network');
    this.fc1 = new nn.Linear(all, hidden, generator);
    this.fc2 = new nn.Linear(hidden, widths.length, generator);
  }

  override forward({ embeddings, logits }: StageOutputs): Tensor {
    const hidden = this.fc1.call(ops.cat(embeddings, 1)).relu_(); // [B, D]
    const attention = this.fc2.call(hidden).softmax(1).unsqueeze(2); // [B, S, 1]
    return ops.stack(logits, 1).mul(attention).sum([1]); // [B, S, classes] -> [B, classes]
  }
}

/** The aggregators of a cohort, one per network. */
export class Aggregators extends nn.Module<readonly StageOutputs[], Tensor[]> {
  readonly networks: readonly Aggregator[];

  /** @param widths of the embeddings, for every network one per stage */
  constructor(widths: readonly (readonly number[])[], generator: Generator) {
    super();
    this.networks = widths.map((stages) => new Aggregator(stages, generator));
  }

  /** Aggregated logits of every network, in the same order. */
  override forward(outputs: readonly StageOutputs[]): Tensor[] {
    return outputs.map((output, index) => this.aggregate(output, index));
  }

  /** Aggregated logits `[B, classes]` of one network. */
  aggregate(output: StageOutputs, network: number): Tensor {
    return at(this.networks, network, 'the aggregators').call(output);
  }
}
