/**
 * Networks that also learn from the ensemble of their averages (a mean teacher, Tarvainen and Valpola, arXiv 1703.01780,
 * shared by the cohort as in PCL, arXiv 2006.04147): logits towards those of the averaged networks, on top of any method.
 */
import { noGrad, ops, type Tensor } from '@cohort-ml/torch';
import { pairedDistillation, rampUp } from '../../losses/index.ts';
import type { Network, NetworkOutput } from '../../models/index.ts';
import {
  imagesOf,
  type CohortBatch,
  type CrossingOutput,
  type Refine,
  type Topology,
} from '../../topology/index.ts';
import type { StageOutputs } from '../../models/network.ts';
import type { LossTerm, StepInput } from '../method.ts';
import { logitsOf } from './outputs.ts';
import { inFullPrecision } from './precision.ts';

/** How networks learn from the ensemble of averages. */
export interface AverageTeacherSettings {
  readonly weight: number;
  /** T: softens both sides; the term counts T squared. */
  readonly distillationTemperature: number;
  /** Epochs over which the term grows to its weight. */
  readonly rampUpEpochs: number;
}

/** A topology that remembers the logits of the networks that it ran last. */
export class LogitsRecorder implements Topology {
  readonly #inner: Topology;
  #latest: readonly Tensor[] = [];
  readonly isSeparable: boolean;

  constructor(inner: Topology) {
    this.#inner = inner;
    this.isSeparable = inner.isSeparable;
  }

  /** Logits of the last run, one `[B, classes]` per network; forgets them. */
  take(): readonly Tensor[] {
    const latest = this.#latest;
    this.#latest = [];
    return latest;
  }

  run(batch: CohortBatch, keepStages?: boolean): NetworkOutput[] {
    const outputs = this.#inner.run(batch, keepStages);
    this.#latest = outputs.map(({ logits }) => logits);
    return outputs;
  }

  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    const outputs = this.#inner.runRefined(batch, refine);
    // Those of the last stage are the network's own.
    this.#latest = outputs.flatMap(({ logits }) => logits.slice(-1));
    return outputs;
  }

  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[] {
    return this.#inner.ofEach(outputs, compute);
  }

  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[] {
    return this.#inner.parts(logits, compute);
  }

  parameters(): ReturnType<Topology['parameters']> {
    return this.#inner.parameters();
  }

  over(networks: readonly Network[], crossing?: readonly CrossingOutput[]): Topology {
    return this.#inner.over(networks, crossing);
  }
}

/**
 * `T^2 sum_i KL(p(mean_j average z_j / T) || p_i)` of the networks that were just run.
 *
 * @param logits one `[B, classes]` per network
 * @param averages the averaged networks, run in evaluation mode with their averaged statistics
 */
export function averageTeacherTerm(
  logits: readonly Tensor[],
  averages: { readonly topology: Topology; readonly networks: readonly Network[] },
  step: StepInput,
  { weight, distillationTemperature, rampUpEpochs }: AverageTeacherSettings,
): LossTerm {
  const modes = averages.networks.map((network) => network.training);
  try {
    for (const network of averages.networks) network.eval();
    const target = noGrad(() => ops.stack(logitsOf(averages.topology.run(imagesOf(step))), 0).mean([0]));
    const own = logits.map(inFullPrecision);
    return {
      value: pairedDistillation(
        own,
        own.map(() => target),
        distillationTemperature,
      ),
      weight: weight * rampUp(step.epoch, rampUpEpochs),
    };
  } finally {
    for (const [index, network] of averages.networks.entries()) network.train(modes[index]);
  }
}
