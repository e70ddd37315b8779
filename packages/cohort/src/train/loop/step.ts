/** One training step of a cohort: the method's terms, one weighted sum, backward, optimizer; the same for every method. */
import {
  autocast,
  backward,
  backwardTogether,
  noGrad,
  ops,
  scope,
  type optim,
  type Tensor,
} from '@cohort-ml/torch';
import { NotFiniteError } from '../../support/notFiniteError.ts';
import type { Method, StepInput } from '../../methods/method.ts';
import type { GradientClipping } from './gradientClipping.ts';
import { SeparatedOutputs, type Topology } from '../../topology/index.ts';

/** What a step needs of the other ranks. */
export interface StepRanks {
  /** The sum of all ranks' numbers. */
  readonly sum: (value: number) => number;
  /** Values of the whole batch, from those that this rank has. */
  readonly agreeOnValues: (values: TermValues) => TermValues;
  /** Completes the gradients that this rank has only a part of. */
  readonly completeGradients: () => void;
}

/** What a step is done with. */
export interface StepTools {
  readonly method: Method;
  readonly optimizer: optim.Optimizer;
  readonly precision: 'float32' | 'bfloat16';
  /** Limits the gradients before the optimizer's step; they are left as they are unless given. */
  readonly clipping?: Pick<GradientClipping, 'apply'> | null;
  /** How the method runs the networks; needed to differentiate several at once. */
  readonly topology?: Topology;
  /** How many networks are differentiated at the same time; 1 unless given. */
  readonly networksAtOnce?: number;
  /** The other ranks, where networks are spread over several. */
  readonly ranks?: StepRanks | undefined;
}

/** Values of every loss term, before weighting, of what was measured, and `total`, the weighted sum. */
export type TermValues = Record<string, number>;

/**
 * Runs one step and returns the value of every term.
 *
 * @param where ends the sentence of an error, e.g. `in epoch 3, step 120`
 * @throws {NotFiniteError} before any weight has changed.
 */
export function trainStep(tools: StepTools, input: StepInput, where: string): TermValues {
  const { method, optimizer } = tools;
  const values = differentiate(tools, input, where);
  tools.ranks?.completeGradients();
  // Those of the method's own are stepped in its hook, by gradients that may come from the same loss.
  const optimizers = [optimizer, ...Object.values(method.optimizers ?? {})];
  try {
    assertGradientsFinite(optimizers, where, tools.ranks);
  } catch (error) {
    for (const each of optimizers) each.zeroGrad();
    throw error;
  }
  if (tools.clipping != null) values.gradientNorm = tools.clipping.apply();
  optimizer.step();
  optimizer.zeroGrad();
  return values;
}

/** Gradients of the weighted sum, network by network where several are differentiated at once; the values of all terms. */
function differentiate(tools: StepTools, input: StepInput, where: string): TermValues {
  const { topology, networksAtOnce = 1 } = tools;
  const separated = networksAtOnce > 1 && topology?.isSeparable === true ? new SeparatedOutputs() : null;
  try {
    const { total, values } = sumOfTerms(tools, separated === null ? input : { ...input, separated }, where);
    try {
      backward(total);
    } finally {
      total.dispose();
    }
    if (separated !== null) {
      scope(() => {
        backwardTogether(separated.graphs(), networksAtOnce);
      });
    }
    topology?.passBack?.();
    return values;
  } finally {
    separated?.dispose();
    topology?.forget?.();
  }
}

/** The weighted sum of the losses with its graph, and the values of all terms. */
function sumOfTerms(
  { method, precision, ranks }: StepTools,
  input: StepInput,
  where: string,
): { total: Tensor; values: TermValues } {
  // The scope ends before backward: only what the graph needs stays, and is freed on the way back.
  return scope(() => {
    const { losses, measured = {} } =
      precision === 'bfloat16' ? autocast(() => method.terms(input)) : method.terms(input);
    const own: TermValues = {};
    const weighted: Tensor[] = [];
    for (const [name, { value, weight }] of Object.entries(losses)) {
      own[name] = value.item();
      if (weight !== 0) weighted.push(weight === 1 ? value : value.mul(weight));
    }
    for (const [name, measure] of Object.entries(measured)) {
      own[name] = typeof measure === 'number' ? measure : measure.item();
    }
    const total = ops.stack(weighted, 0).sum();
    own.total = total.item();
    const values = ranks?.agreeOnValues(own) ?? own;
    for (const [name, value] of Object.entries(values)) {
      assertFinite(name, value, where, Object.hasOwn(measured, name) ? 'measure' : 'loss term');
    }
    return { total, values };
  });
}

/**
 * A finite loss can have gradients that are not, and one step with them ruins every weight. The norms tell: one pass over
 * the gradients, and one number read back.
 */
function assertGradientsFinite(
  optimizers: readonly optim.Optimizer[],
  where: string,
  ranks: StepTools['ranks'],
): void {
  const own = noGrad(() =>
    scope(() => {
      const parameters = optimizers.flatMap((optimizer) => optimizer.parameters);
      const gradients = parameters.flatMap(({ grad }) => (grad === null ? [] : [grad]));
      return gradients.length === 0 ? 0 : ops.stack(ops._foreachNorm(gradients), 0).square().sum().item();
    }),
  );
  // A step is left out on all ranks or on none.
  const norm = ranks?.sum(own) ?? own;
  if (!Number.isFinite(norm)) {
    throw new NotFiniteError(`The squared norm of the gradients became ${norm} ${where}`);
  }
}

/** The value itself. @throws {NotFiniteError} naming a value that is not finite */
export function assertFinite(name: string, value: number, where: string, kind = 'loss term'): number {
  if (!Number.isFinite(value)) {
    throw new NotFiniteError(`The ${kind} '${name}' became ${value} ${where}`);
  }
  return value;
}
