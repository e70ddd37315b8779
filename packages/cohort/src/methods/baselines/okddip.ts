/**
 * Online Knowledge Distillation with Diverse Peers (OKDDip, Chen et al. 2020, arXiv 1912.00350): two levels. The peers,
 * all networks but the last, each learn from a mixture of the peers' logits of their own, weighed by attention between
 * linear queries and keys of their embeddings; the last network, the leader, learns from the mean of the peers and is what
 * is used. `L = sum CE + T^2 sum_a KL(p(sum_b A_ab z_b) || p_a) + T^2 KL(p(mean_a z_a) || p_leader)`.
 *
 * Public implementations differ: the authors' (T 3, ramp-up over 80 epochs, projections an eighth as wide, as here)
 * does not detach the targets, so that queries and keys learn and peers move towards each other from both sides, as
 * here by default; detached (`detachTargets`) the attention stays as it was drawn. The authors', and MCL-OKD's, pass
 * the leader's gradient on to the peers too; here it is stopped, so that peers do not follow the leader.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  attendedDistillation,
  classification,
  type Classification,
  pairedDistillation,
  peerAttention,
  rampUp,
} from '../../losses/index.ts';
import { ModelError, type NetworkOutput } from '../../models/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { embeddingsOf, logitsOf } from '../parts/outputs.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';
import { at } from '../../support/at.ts';

/** Online knowledge distillation with diverse peers (arXiv 1912.00350). */
const okddipSettings = z.strictObject({
  name: z.literal('okddip'),
  weights: z
    .strictObject({
      /** Of the peers' distillation from each other. */
      distillation: lossWeight.default(1),
      /** Of the leader's, from the peers' mean. */
      leader: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
  /** Queries and keys are so many times narrower than embeddings. */
  projectionFactor: z.int().min(1).max(4096).default(8),
  /** Keeps gradients out of the targets: then queries and keys learn nothing and stay as they were drawn. */
  detachTargets: z.boolean().default(false),
});

/** Resolved settings. */
export type OkddipSettings = z.output<typeof okddipSettings>;

/** Attention between embeddings: one query and one key projection for all peers of a width. */
class PeerAttention extends nn.Module<readonly Tensor[]> {
  readonly queries: readonly nn.Linear[];
  readonly keys: readonly nn.Linear[];
  readonly #projectionOf: readonly number[];

  /** @param widths of the peers' embeddings; peers of one width share their projections, as published */
  constructor(widths: readonly number[], factor: number, generator: Generator) {
    super();
    const distinct = [...new Set(widths)];
    const inner = Math.max(1, Math.floor(Math.min(...widths) / factor));
    const project = (width: number): nn.Linear => new nn.Linear(width, inner, generator, { bias: false });
    this.queries = distinct.map(project);
    this.keys = distinct.map(project);
    this.#projectionOf = widths.map((width) => distinct.indexOf(width));
  }

  /** `[B, D]` a peer to `[B, P, P]`. */
  override forward(embeddings: readonly Tensor[]): Tensor {
    const all = (projections: readonly nn.Linear[]): Tensor =>
      ops.stack(
        embeddings.map((each, peer) => at(projections, at(this.#projectionOf, peer, 'the peers')).call(each)),
        1,
      ); // [B, P, D]
    return peerAttention(all(this.queries), all(this.keys));
  }
}

/** Diverse peers and their leader. */
export class DiversePeers implements Method {
  readonly modules: { readonly attention: PeerAttention };
  readonly leader: number;
  readonly #topology: Topology;
  readonly #settings: OkddipSettings;
  readonly #classification: Classification;

  /** @throws {ModelError} for a cohort without peers. */
  constructor(context: MethodContext, settings: OkddipSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, generator } = context;
    if (networks.length < 2) {
      throw new ModelError(
        `method okddip: expected a leader, the last network, and one or more peers, got ${networks.length}. Name more networks.`,
      );
    }
    this.leader = networks.length - 1;
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    const widths = networks.slice(0, -1).map(({ embeddingSize }) => embeddingSize);
    this.modules = { attention: new PeerAttention(widths, settings.projectionFactor, generator) };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature: temperature, rampUpEpochs, detachTargets } = this.#settings;
    const outputs = this.#topology.run(step);
    const logits = logitsOf(outputs);
    const peers = logits.slice(0, -1);
    const attention = this.modules.attention.call(embeddingsOf(outputs.slice(0, -1)));
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
        distillation: {
          value: attendedDistillation(peers, attention, temperature, detachTargets),
          weight: weights.distillation * growth,
        },
        leader: {
          value: pairedDistillation(logits.slice(-1), [ops.stack(peers, 0).mean([0])], temperature),
          weight: weights.leader * growth,
        },
      },
    };
  }

  /** The mean of the peers' logits, without the leader: what the leader learns from. */
  ensemble(outputs: readonly NetworkOutput[]): Tensor {
    return ops.stack(logitsOf(outputs).slice(0, -1), 0).mean([0]);
  }
}

/** The method, for the registry. */
export const okddip = defineMethod({
  settings: okddipSettings,
  title: 'online knowledge distillation with diverse peers',
  paper: 'Chen et al. 2020, arXiv 1912.00350',
  equation: 'CE_i + KL(p(sum_j a_ij z_j) || p_i) + KL(p(mean_i z_i) || p_leader)',
  topologies: ['branches', 'peers', 'tree'],
  minimumNetworks: 3,
  whyMinimum: 'has a leader that learns from two or more peers',
  training: 'queries and keys, linear',
  deployed: 'the last network, the leader; the ensemble is of the peers',
  hasEnsemble: true,
  crossing: () => ['logits', 'embedding'],
  create: (context, settings) => new DiversePeers(context, settings),
});
