/**
 * Shows a method the regions of images as its samples: pooled features are the embeddings, pooled scores the logits, and the loss of
 * the task takes the place of the cross-entropy. Methods that work on embeddings and logits need not know of tasks.
 */
import { ops, seedDefaultGenerator, type nn, type Tensor } from '@cohort-ml/torch';
import type { Classification } from '../../losses/index.ts';
import type { Method, StepInput, StepTerms } from '../../methods/index.ts';
import type { NetworkOutput, StageOutputs } from '../../models/network.ts';
import { gatherOutputs, type CohortBatch, type Distribution, type Topology } from '../../topology/index.ts';
import { at } from '../../support/at.ts';
import { TaskError } from '../errors.ts';
import type { Region, TaskBatches } from './taskBatches.ts';
import type { LossParts, TaskModel, VisionTask } from './visionTask.ts';

/** What runs the models. */
export interface RegionTopologyParts<Output> {
  readonly task: VisionTask<Output>;
  readonly models: readonly TaskModel<Output>[];
  readonly batches: TaskBatches;
  /** Whether the method looks at regions; else nothing is pooled. */
  readonly usesRegions: boolean;
  /** Where models are spread over ranks, what passes between them; null where all are here. */
  readonly distribution?: Distribution | null;
}

/** Models that share nothing, run on the batches of a loader: all of them here, or each on its rank. */
export class RegionTopology<Output> implements Topology {
  readonly isSeparable = false;
  readonly #parts: RegionTopologyParts<Output>;
  #losses: readonly LossParts[] = [];

  constructor(parts: RegionTopologyParts<Output>) {
    this.#parts = parts;
  }

  run({ images }: CohortBatch): NetworkOutput[] {
    const { models, batches, usesRegions, distribution = null } = this.#parts;
    const regions = usesRegions ? batches.regionsOf(images) : [];
    const own = distribution?.exchange.own ?? [...models.keys()];
    const run = own.map((place) => this.#runModel(place, images, regions));
    // What the method draws does not depend on which models were run here.
    seedDefaultGenerator(batches.seedOf(images, models.length));
    const losses = run.map(({ loss }) => loss);
    const outputs = run.map(({ output }) => output);
    if (distribution === null) {
      this.#losses = losses;
      return outputs;
    }
    const names = Object.keys(at(losses, 0, 'the losses'));
    this.#losses = distribution.exchange
      .gather(
        losses.map((parts) => names.map((name) => part(parts, name))),
        'losses',
        () => true,
      )
      .map((values) =>
        Object.fromEntries(names.map((name, index) => [name, at(values, index, 'the losses')])),
      );
    return gatherOutputs(distribution, outputs, false, regions.length);
  }

  /** What one model loses, and what it shows of the regions. Each draws from a seed of its own, on whichever rank it is. */
  #runModel(
    place: number,
    images: Tensor,
    regions: readonly Region[],
  ): { loss: LossParts; output: NetworkOutput } {
    const { task, models, batches, usesRegions } = this.#parts;
    const model = at(models, place, 'the models');
    const targets = batches.targetsOf(images);
    seedDefaultGenerator(batches.seedOf(images, place));
    const output = model.call(images);
    const loss = task.loss(model, output, targets);
    if (usesRegions) return { loss, output: { ...task.pool(model, output, regions, targets), stages: [] } };
    const nothing = ops.zeros([0, task.regionClasses]);
    return { loss, output: { logits: nothing, embedding: nothing, stages: [] } };
  }

  /** The loss of the batch that was run last, summed over the models; it asks for nothing that it is given. */
  readonly classification: Classification = () => {
    const all = this.#losses.flatMap((parts) => Object.values(parts));
    return ops.stack(all, 0).sum();
  };

  /** Mean over the models of each part of that loss. */
  lossParts(): Record<string, Tensor> {
    const [first = {}] = this.#losses;
    return Object.fromEntries(
      Object.keys(first).map((name) => [
        name,
        ops
          .stack(
            this.#losses.map((parts) => part(parts, name)),
            0,
          )
          .mean()
          .detach(),
      ]),
    );
  }

  runRefined(): StageOutputs[] {
    throw new TaskError(
      'This method refines the stages of classifiers, which detectors and segmenters do not have.',
      'Choose another method.',
    );
  }

  ofEach<Each>(outputs: readonly Each[], compute: (output: Each, network: number) => Tensor): Tensor[] {
    return this.#parts.distribution?.exchange.ofEach(outputs, compute) ?? outputs.map(compute);
  }

  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[] {
    return this.#parts.distribution?.exchange.parts(logits, compute) ?? logits.map((each) => compute(each));
  }

  parameters(): nn.Parameter[] {
    return this.#parts.models.flatMap((model) => model.parameters());
  }

  over(): Topology {
    throw new TaskError('This method needs copies of whole classifiers.', 'Choose another method.');
  }
}

/** The method with the parts of the task's loss among what it measured. */
export class TaskMethod implements Method {
  readonly #method: Method;
  readonly #lossParts: () => Readonly<Record<string, Tensor>>;

  constructor(method: Method, lossParts: () => Readonly<Record<string, Tensor>>) {
    this.#method = method;
    this.#lossParts = lossParts;
  }

  get modules(): Method['modules'] {
    return this.#method.modules;
  }

  get notice(): string | null {
    return this.#method.notice ?? null;
  }

  terms(step: StepInput): StepTerms {
    const terms = this.#method.terms(step);
    const parts = this.#lossParts();
    // A single part is the whole, which is among the losses already.
    return Object.keys(parts).length < 2 ? terms : { ...terms, measured: { ...terms.measured, ...parts } };
  }
}

function part(parts: LossParts, name: string): Tensor {
  const found = parts[name];
  if (found === undefined) throw new RangeError(`A model has no loss '${name}'.`);
  return found;
}
