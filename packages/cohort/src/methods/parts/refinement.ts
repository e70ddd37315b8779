/**
 * Refinement branches (Yang et al., arXiv 2207.11518, auxiliary feature refinement modules): what turns the feature map
 * of an earlier stage into an embedding and logits, as deep as the network's own. They exist in training only.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { ModelError } from '../../models/errors.ts';
import type { Network, NetworkOutput, StageForm, StageOutputs } from '../../models/network.ts';
import { at } from '../../support/at.ts';

/** How deep branches are: as the network, with one block a stage, or whichever is usual for the network. */
export type RefinementDepth = StageForm | 'auto';

/** Networks whose strides divide the image by this much or more are for large images, where branches are short. */
const largeImageStride = 32;

function usualForm({ totalStride }: Network): StageForm {
  return totalStride >= largeImageStride ? 'short' : 'full';
}

/** Fresh copies of everything after one stage: the later stages, final layers, global mean pooling and classifier. */
export class RefinementBranch extends nn.Module<
  Tensor,
  { readonly embedding: Tensor; readonly logits: Tensor }
> {
  readonly stages: nn.Sequential;
  readonly finish: nn.Module | null;
  readonly classifier: nn.Linear;

  /**
   * @param stage the branch starts from its feature map; from 0, and not the last
   * @param form of every later stage
   */
  constructor(network: Network, stage: number, generator: Generator, form: StageForm = 'full') {
    super();
    const later = network.stageModules.map((_, index) => index).slice(stage + 1);
    this.stages = new nn.Sequential(...later.map((index) => network.createStage(index, generator, form)));
    this.finish = network.createFinish?.(generator) ?? null;
    const { shape } = network.classifier.weight; // [classes, width]
    this.classifier = new nn.Linear(at(shape, 1), at(shape, 0), generator);
  }

  override forward(features: Tensor): { embedding: Tensor; logits: Tensor } {
    const refined = this.stages.call(features);
    const embedding = (this.finish?.call(refined) ?? refined).mean([2, 3]); // [B, C, H, W] -> [B, C]
    return { embedding, logits: this.classifier.call(embedding) };
  }
}

/** A branch on every stage of a network but the last, which the network refines itself. */
export class RefinementBranches extends nn.Module<NetworkOutput, StageOutputs> {
  readonly branches: readonly RefinementBranch[];

  /** @throws {ModelError} for a network that exposes no stages, or has no short ones where these are asked for. */
  constructor(network: Network, generator: Generator, depth: RefinementDepth = 'full') {
    super();
    if (network.stageModules.length === 0) {
      throw new ModelError(
        `RefinementBranches: expected a network with stages to refine, ${network.constructor.name} exposes none. Give it stageModules, or use a method without refinement branches, e.g. mcl.`,
      );
    }
    const form = depth === 'auto' ? usualForm(network) : depth;
    this.branches = network.stageModules
      .slice(0, -1)
      .map((_, stage) => new RefinementBranch(network, stage, generator, form));
  }

  /** @param output of `callWithStages` on the same network */
  override forward({ stages, embedding, logits }: NetworkOutput): StageOutputs {
    if (stages.length !== this.branches.length + 1) {
      throw new RangeError(
        `RefinementBranches: expected the feature maps of ${this.branches.length + 1} stages, got ${stages.length}. Run the network with callWithStages.`,
      );
    }
    const refined = this.branches.map((branch, stage) => branch.call(at(stages, stage, 'the stages')));
    return {
      embeddings: [...refined.map((branch) => branch.embedding), embedding],
      logits: [...refined.map((branch) => branch.logits), logits],
    };
  }
}

/** The branches of a cohort, network by network; architectures and numbers of stages may differ. */
export class CohortBranches extends nn.Module<readonly NetworkOutput[], StageOutputs[]> {
  readonly networks: readonly RefinementBranches[];

  constructor(networks: readonly Network[], generator: Generator, depth: RefinementDepth = 'full') {
    super();
    this.networks = networks.map((network) => new RefinementBranches(network, generator, depth));
  }

  /** @param outputs of `callWithStages`, one per network */
  override forward(outputs: readonly NetworkOutput[]): StageOutputs[] {
    return this.refine(
      outputs,
      outputs.map((_, index) => index),
    );
  }

  /**
   * Refines some networks.
   *
   * @param outputs of `callWithStages`
   * @param places of the networks in the cohort, one per output
   */
  refine(outputs: readonly NetworkOutput[], places: readonly number[]): StageOutputs[] {
    return outputs.map((output, index) =>
      at(this.networks, at(places, index, 'the places'), 'the branches of the cohort').call(output),
    );
  }
}
