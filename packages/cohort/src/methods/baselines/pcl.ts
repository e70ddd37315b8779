/**
 * Peer Collaborative Learning (PCL, Wu and Gong 2021, arXiv 2006.04147): peers on a shared trunk, a classifier on all
 * peers' concatenated features as ensemble teacher, and the peers' exponential moving averages as mean teachers of the
 * others: `L = sum_i CE_i + CE_e + T^2 sum_i [KL(p_e || p_i) + 1 / (N - 1) sum_{j != i} KL(average p_j || p_i)]`. What is
 * measured and used are the averages, with decay `min(1 - 1 / (t + 1), 0.999)`.
 *
 * The paper gives every peer its own augmentation (`data.augmentation.views: independent`, which runs the trunk once a
 * peer). Public implementations differ: no program of the authors was found; a reproduction (T 3, 80 epochs, the same
 * decay) gives all peers the same first classifier, and its ramp-up divides the epoch by the weight instead of the
 * length. Averages run in training mode, so that they have running statistics of their own, as there; it reports the
 * best peer on test images. Here the ensemble that is measured is the classifier's average on the averages' features,
 * which that program does not have.
 */
import { nn, noGrad, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  meansOfDivergences,
  pairedDistillation,
  rampUp,
} from '../../losses/index.ts';
import type { Network, NetworkOutput } from '../../models/index.ts';
import { imagesOf, Peers, type Topology } from '../../topology/index.ts';
import { AverageCounter, startAverages, updateAverages } from '../parts/average.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { embeddingsOf, logitsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';

/** Peer collaborative learning (arXiv 2006.04147). */
const pclSettings = z.strictObject({
  name: z.literal('pcl'),
  weights: z
    .strictObject({
      /** Of the distillation from the ensemble of all peers' features. */
      ensemble: lossWeight.default(1),
      /** Of the distillation from the other peers' averages. */
      meanTeachers: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
  /** Largest share of the old average that a step keeps; step t keeps min(1 - 1 / (t + 1), this). */
  averageDecay: z.number().min(0).lt(1).default(0.999),
});

/** Resolved settings. */
export type PclSettings = z.output<typeof pclSettings>;

/** A linear classifier on the features of all peers: `[B, D_i]` each to `[B, classes]`. */
class EnsembleClassifier extends nn.Module<readonly Tensor[]> {
  readonly classifier: nn.Linear;

  constructor(widths: readonly number[], classes: number, generator: Generator) {
    super();
    const all = widths.reduce((sum, width) => sum + width, 0);
    this.classifier = new nn.Linear(all, classes, generator);
  }

  override forward(embeddings: readonly Tensor[]): Tensor {
    return this.classifier.call(ops.cat(embeddings, 1));
  }
}

/** Peers, their ensemble and their averages. */
export class PeerCollaborativeLearning implements Method {
  readonly modules: {
    readonly ensemble: EnsembleClassifier;
    readonly averageEnsemble: EnsembleClassifier;
    readonly averages: AverageCounter;
  };
  readonly deployed: readonly Network[];
  readonly #topology: Topology;
  readonly #averageTopology: Topology;
  readonly #settings: PclSettings;
  readonly #classification: Classification;

  /** @throws {RangeError} where the context has no way to make networks for the averages. */
  constructor(context: MethodContext, settings: PclSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, classes, generator, freshNetworks } = context;
    if (freshNetworks === undefined) {
      throw new RangeError('method pcl: expected a context with freshNetworks, for the averages, got none');
    }
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    this.deployed = freshNetworks();
    this.#averageTopology = this.#topology.over(this.deployed);
    const widths = networks.map(({ embeddingSize }) => embeddingSize);
    const ensemble = new EnsembleClassifier(widths, classes, generator);
    const averageEnsemble = new EnsembleClassifier(widths, classes, generator);
    startAverages([...this.deployed, averageEnsemble], [...networks, ensemble]);
    this.modules = { ensemble, averageEnsemble, averages: new AverageCounter() };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature: temperature, rampUpEpochs } = this.#settings;
    const outputs = this.#topology.run(step);
    const logits = logitsOf(outputs);
    const ensemble = inFullPrecision(this.modules.ensemble.call(embeddingsOf(outputs)));
    const averages = noGrad(() => logitsOf(this.#averageTopology.run(imagesOf(step))));
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: {
          value: this.#classification([...logits, ensemble], step.labels, step.mix),
          weight: 1,
        },
        ensemble: {
          value: pairedDistillation(
            logits,
            logits.map(() => ensemble),
            temperature,
          ),
          weight: weights.ensemble * growth,
        },
        meanTeachers: {
          value: meansOfDivergences(logits, averages, temperature),
          weight: weights.meanTeachers * growth,
        },
      },
    };
  }

  afterStep(): undefined {
    const decay = this.modules.averages.next(this.#settings.averageDecay);
    updateAverages(
      [...this.#averageTopology.parameters(), ...this.modules.averageEnsemble.parameters()],
      [...this.#topology.parameters(), ...this.modules.ensemble.parameters()],
      decay,
    );
  }

  ensemble(outputs: readonly NetworkOutput[]): Tensor {
    return this.modules.averageEnsemble.call(embeddingsOf(outputs));
  }
}

/** The method, for the registry. */
export const pcl = defineMethod({
  settings: pclSettings,
  title: 'peer collaborative learning',
  paper: 'Wu and Gong 2021, arXiv 2006.04147',
  equation: 'CE_i + CE_e + KL(p_e || p_i) + mean_j KL(average p_j || p_i)',
  topologies: ['branches', 'peers', 'tree'],
  minimumNetworks: 2,
  training: "averages of the networks; a classifier on all peers' features, and its average",
  deployed: "every network's average; the ensemble is the average classifier's",
  keepsAverages: true,
  hasEnsemble: true,
  crossing: () => ['logits', 'embedding'],
  create: (context, settings) => new PeerCollaborativeLearning(context, settings),
});
