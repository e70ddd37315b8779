/** What every architecture has in common: a stem, stages, pooling and a classifier, run so that methods see each part. */
import { nn, scope, type Generator, type Tensor } from '@cohort-ml/torch';
import { ModelError } from './errors.ts';

/** What a network shows of one batch. */
export interface NetworkOutput {
  /** Class scores before softmax, `[B, classes]`. */
  readonly logits: Tensor;
  /** Pooled features, `[B, embeddingSize]`. */
  readonly embedding: Tensor;
  /** Feature map after each stage, `[B, C_k, H_k, W_k]`; empty unless they were asked for. */
  readonly stages: readonly Tensor[];
}

/** What a network says of a batch at each of its stages, the last one being its own output. */
export interface StageOutputs {
  /** One `[B, D]` per stage. */
  readonly embeddings: readonly Tensor[];
  /** One `[B, classes]` per stage. */
  readonly logits: readonly Tensor[];
}

/** What a network has of one batch after its stem and some stages. */
export interface Trunk {
  /** The last feature map, `[B, C, H, W]`. */
  readonly features: Tensor;
  /** Feature maps of the stages so far; empty unless they were asked for. */
  readonly stages: readonly Tensor[];
  /** How many stages have run. */
  readonly stageCount: number;
}

/** A stage as the network has it, or with one block in its place. */
export type StageForm = 'full' | 'short';

/** What an architecture is built for. */
export interface NetworkOptions {
  /** Number of classes, two or more. */
  readonly classes: number;
  /** Channels of the images: 1 for grey, 3 for colour. */
  readonly channels: number;
  /** Source of the initial weights. */
  readonly generator: Generator;
}

/**
 * A network: stem, stages, final layers, global mean pooling and a linear classifier.
 *
 * An architecture is a subclass that assigns its layers to properties (their names make the state dict) and says which
 * of them are the stages.
 */
export abstract class Network extends nn.Module<Tensor, NetworkOutput> {
  /** Width of the pooled embedding. */
  abstract readonly embeddingSize: number;
  /** Maps the embedding to class scores. */
  abstract readonly classifier: nn.Linear;

  /** Pixels between neighbours of the last stage's map: an image side must have as many. */
  abstract readonly totalStride: number;

  /** Layers after the last stage that a backbone of another task leaves out. */
  get headModules(): readonly nn.AnyModule[] {
    return [this.classifier];
  }

  /** What the names of the stages' tensors begin with here and, as published, not in backbones. */
  readonly backbonePrefix: string = '';

  /** Whether, as published, a convolution that gives up its stride for dilation is dilated itself. */
  readonly dilatesStridedConvolutions: boolean = false;

  /** Whether, as published, LR-ASPP takes its finer map after the first block of a stage, not after the last. */
  readonly hasEarlyMaps: boolean = false;

  /** The stages in order, each a module from feature map to feature map. */
  abstract get stageModules(): readonly nn.Module[];

  /**
   * A fresh, newly initialised copy of stage `index`; refinement branches are built from these.
   *
   * @throws {ModelError} for a stage that there is not, and for a short form where the architecture has none.
   */
  abstract createStage(index: number, generator: Generator, form?: StageForm): nn.Module;

  /** Everything before the first stage: `[B, channels, H, W] -> [B, C_0, H_0, W_0]`. */
  protected abstract stem(images: Tensor): Tensor;

  /** Layers between the last stage and pooling; none by default. */
  protected finish(features: Tensor): Tensor {
    return features;
  }

  /** Fresh, newly initialised layers as `finish` runs them: an architecture that has `finish` has this too. */
  createFinish?(generator: Generator): nn.Module;

  /** Runs the network; stages are kept only where a method asks for them, since they hold much memory. */
  override forward(images: Tensor): NetworkOutput {
    return this.run(images, false);
  }

  /** As `call`, with the feature map of every stage. */
  callWithStages(images: Tensor): NetworkOutput {
    return this.run(images, true);
  }

  private run(images: Tensor, keepStages: boolean): NetworkOutput {
    return scope(() => {
      const trunk = this.trunk(images, 0, keepStages);
      // Nothing else refers to the stem's map: it goes once the first stage has used it.
      return this.branch(trunk, keepStages, true);
    });
  }

  /**
   * The stem and the first `count` stages, which several networks may share.
   *
   * @param keepStages whether to keep the feature map of every stage
   */
  trunk(images: Tensor, count: number, keepStages = false): Trunk {
    this.assertLargeEnough(images);
    const trunk: Trunk = { features: this.stem(images), stages: [], stageCount: 0 };
    return this.runStages(trunk, this.stageModules.slice(0, count), keepStages, true);
  }

  /**
   * The trunk with the stages up to `count`.
   *
   * @param keepStages whether to keep the feature map of every stage
   */
  extend(trunk: Trunk, count: number, keepStages = false): Trunk {
    return this.runStages(trunk, this.stageModules.slice(trunk.stageCount, count), keepStages, false);
  }

  /**
   * Everything after a trunk.
   *
   * @param ownsTrunk whether the trunk's feature map may be released as soon as it has been used
   */
  branch(trunk: Trunk, keepStages = false, ownsTrunk = false): NetworkOutput {
    const later = this.stageModules.slice(trunk.stageCount);
    const { features, stages } = this.runStages(trunk, later, keepStages, ownsTrunk);
    const embedding = this.finish(features).mean([2, 3]); // [B, C, H, W] -> [B, C]
    return { logits: this.classifier.call(embedding), embedding, stages };
  }

  private runStages(
    trunk: Trunk,
    modules: readonly nn.Module[],
    keepStages: boolean,
    ownsTrunk: boolean,
  ): Trunk {
    const stages = [...trunk.stages];
    let { features } = trunk;
    for (const [index, stage] of modules.entries()) {
      const next = stage.call(features);
      // Outside of training nothing else refers to the map before: its memory is free for the next one.
      const isKept = stages.includes(features) || (index === 0 && !ownsTrunk);
      if (!isKept) features.dispose();
      features = next;
      if (keepStages) stages.push(next);
    }
    return { features, stages, stageCount: trunk.stageCount + modules.length };
  }

  private assertLargeEnough({ shape }: Tensor): void {
    const [height = 0, width = 0] = shape.slice(-2);
    if (shape.length === 4 && Math.min(height, width) >= this.totalStride) return;
    throw new ModelError(
      `${this.constructor.name}: expected images [B, C, H, W] of at least ${this.totalStride} by ${this.totalStride} pixels, since its strides divide them by ${this.totalStride}, got [${shape.join(', ')}]. Use larger images or an architecture for small ones.`,
    );
  }
}
