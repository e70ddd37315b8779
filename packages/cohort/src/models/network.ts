/** What every architecture has in common: a stem, stages, pooling and a classifier, run so that methods see each part. */
import { nn, type Generator, type Tensor } from '@cohort/torch';
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

  /** The stages in order, each a module from feature map to feature map. */
  abstract get stageModules(): readonly nn.Module[];

  /** A fresh, newly initialised copy of stage `index`; refinement branches are built from these. */
  abstract createStage(index: number, generator: Generator): nn.Module;

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
    this.assertLargeEnough(images);
    const stages: Tensor[] = [];
    let features = this.stem(images);
    for (const stage of this.stageModules) {
      const next = stage.call(features);
      // Outside of training nothing else refers to the map before: its memory is free for the next one.
      if (!keepStages || stages.length === 0) features.dispose();
      features = next;
      if (keepStages) stages.push(next);
    }
    const embedding = this.finish(features).mean([2, 3]); // [B, C, H, W] -> [B, C]
    return { logits: this.classifier.call(embedding), embedding, stages };
  }

  private assertLargeEnough({ shape }: Tensor): void {
    const [height = 0, width = 0] = shape.slice(-2);
    if (shape.length === 4 && Math.min(height, width) >= this.totalStride) return;
    throw new ModelError(
      `${this.constructor.name}: expected images [B, C, H, W] of at least ${this.totalStride} by ${this.totalStride} pixels, since its strides divide them by ${this.totalStride}, got [${shape.join(', ')}]. Use larger images or an architecture for small ones.`,
    );
  }
}
