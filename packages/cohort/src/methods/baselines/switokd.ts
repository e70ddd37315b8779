/**
 * Switchable Online Knowledge Distillation (SwitOKD, Qian et al. 2022, arXiv 2209.04996): a large teacher and a small
 * student learn from each other, but while the student is too far behind, `||p_s - p_t||_1 > delta`, the teacher is paused
 * and only the student learns (expert mode). `L_s = CE_s + a T^2 KL(p_t || p_s)`, `L_t = CE_t + b T^2 KL(p_s || p_t)`.
 * The first networks (`teachers`) are teachers, the others students; with more than two everyone learns from all others,
 * and a teacher is paused while it is too far ahead of every student.
 *
 * Public implementations differ: of the authors' programs, one has the sign of the threshold's exponent turned; all
 * others ask, in addition to the gap, that the teacher be nearer to the labels than the student; here the gap alone decides,
 * with the threshold that the authors print. With one teacher and two students theirs drops the divergence from each
 * student that is too far behind, and pauses the teacher when both are; here it learns from all until then. A paused
 * teacher gets no gradient, so that weights and momentum stand still; its batch-norm statistics go on, as there. A
 * mixed image's label is its distribution.
 */
import { ops, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  distillationGap,
  rampUp,
  targetDistillation,
} from '../../losses/index.ts';
import { ModelError } from '../../models/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { LabelledImages, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';

/** Switchable online knowledge distillation (arXiv 2209.04996). */
const switokdSettings = z.strictObject({
  name: z.literal('switokd'),
  /** How many networks, the first ones, are teachers, which are paused; the others are students. */
  teachers: z.int().min(1).default(1),
  weights: z
    .strictObject({
      /** Of a student's distillation from the others (alpha). */
      student: lossWeight.default(1),
      /** Of a teacher's, while it is not paused (beta). */
      teacher: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
});

/** Resolved settings. */
export type SwitokdSettings = z.output<typeof switokdSettings>;

/** Teachers that wait for students. */
export class SwitchableDistillation implements Method {
  readonly modules = {};
  readonly #topology: Topology;
  readonly #settings: SwitokdSettings;
  readonly #classes: number;
  readonly #classification: Classification;

  /** @throws {ModelError} where no network is left to be a student. */
  constructor(context: MethodContext, settings: SwitokdSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, classes } = context;
    if (settings.teachers >= networks.length) {
      throw new ModelError(
        `method.teachers: expected fewer than the ${networks.length} networks, since the last are students, got ${settings.teachers}. Lower it, or name more networks.`,
      );
    }
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    this.#classes = classes;
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs, teachers } = this.#settings;
    const given = logitsOf(this.#topology.run(step));
    const students = given.slice(teachers);
    const truth = this.#truth(step);
    const isPaused = given.slice(0, teachers).map((teacher) =>
      students.every((student) => {
        const { gap, threshold } = distillationGap(student, teacher, truth, distillationTemperature);
        return gap > threshold;
      }),
    );
    const logits = given.map((each, index) => (isPaused[index] === true ? each.detach() : each));
    const fromOthers = (indices: readonly number[]): Tensor =>
      ops
        .stack(
          indices.map((network) =>
            targetDistillation(
              logits.slice(network, network + 1),
              logits.filter((_, other) => other !== network),
              distillationTemperature,
            ),
          ),
          0,
        )
        .sum();
    const places = logits.map((_, index) => index);
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
        student: { value: fromOthers(places.slice(teachers)), weight: weights.student * growth },
        teacher: { value: fromOthers(places.slice(0, teachers)), weight: weights.teacher * growth },
      },
      measured: { paused: isPaused.filter(Boolean).length / teachers },
    };
  }

  /** Labels as distributions, `[B, classes]`. */
  #truth({ labels, mix }: LabelledImages): Tensor {
    const own = labels.oneHot(this.#classes).to('float32');
    if (mix === undefined) return own;
    const share = mix.weight.unsqueeze(1);
    return own.mul(share).add(mix.labels.oneHot(this.#classes).to('float32').mul(share.neg().add(1)));
  }
}

/** The method, for the registry. */
export const switokd = defineMethod({
  settings: switokdSettings,
  title: 'switchable online knowledge distillation',
  paper: 'Qian et al. 2022, arXiv 2209.04996',
  equation: 'CE_i + KL(p_j || p_i), teachers only while |p_s - p_t| <= delta',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'nothing',
  deployed: 'every network',
  crossing: () => ['logits'],
  create: (context, settings) => new SwitchableDistillation(context, settings),
});
