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
import type { Method, StepInput, StepTerms } from '../../methods/method.ts';
import type { GradientClipping } from './gradientClipping.ts';
import { SeparatedOutputs, type Topology } from '../../topology/index.ts';
import { assertTermsFinite, gradientsNotFinite, type Term, type TermValues } from './terms.ts';
import { UnreadStep } from './unreadStep.ts';

export { assertFinite, type TermValues } from './terms.ts';

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
  readonly clipping?: Pick<GradientClipping, 'apply' | 'applyUnread'> | null;
  /** How the method runs the networks; needed to differentiate several at once. */
  readonly topology?: Topology;
  /** How many networks are differentiated at the same time on the processor; 1 unless given. */
  readonly networksAtOnce?: number;
  /** Whether each network has a stream of a graphics card of its own, forward and backward. */
  readonly onStreams?: boolean;
  /** The other ranks, where networks are spread over several. */
  readonly ranks?: StepRanks | undefined;
}

/**
 * Runs one step and returns the value of every term.
 *
 * @param where ends the sentence of an error, e.g. `in epoch 3, step 120`
 * @throws {NotFiniteError} before any weight has changed.
 */
export function trainStep(tools: StepTools, input: StepInput, where: string): TermValues {
  const { optimizer, ranks } = tools;
  const values = differentiate(tools, input, (terms) => readTerms(terms, ranks, where));
  ranks?.completeGradients();
  const optimizers = optimizersOf(tools);
  try {
    assertGradientsFinite(optimizers, where, ranks);
  } catch (error) {
    for (const each of optimizers) each.zeroGrad();
    throw error;
  }
  if (tools.clipping != null) values.gradientNorm = tools.clipping.apply();
  optimizer.step();
  optimizer.zeroGrad();
  return values;
}

/**
 * Runs one step whose values stay on the device. Whether they are finite shows when they are read, after the weights have
 * changed: no checkpoint may be taken before.
 *
 * @param where ends the sentence of an error, e.g. `in epoch 3, step 120`
 */
export function trainStepUnread(
  tools: Omit<StepTools, 'ranks'>,
  input: StepInput,
  where: string,
): UnreadStep {
  const { optimizer, clipping = null } = tools;
  return scope(() => {
    const terms = differentiate(tools, input, (all) =>
      all.map((term): Term => ({
        ...term,
        value: typeof term.value === 'number' ? term.value : term.value.detach(),
      })),
    );
    const squaredNorm = squaredNormOf(optimizersOf(tools));
    const gradientNorm = clipping?.applyUnread() ?? null;
    optimizer.step();
    optimizer.zeroGrad();
    return new UnreadStep({ terms, squaredNorm, gradientNorm }, where);
  });
}

/** All that a step's gradients are for: those of the method's own are stepped in its hook, by the same loss. */
function optimizersOf({ method, optimizer }: StepTools): optim.Optimizer[] {
  return [optimizer, ...Object.values(method.optimizers ?? {})];
}

/**
 * Gradients of the weighted sum, network by network where several are differentiated at once.
 *
 * @param look at the terms, the total last, before their graph is differentiated
 */
function differentiate<Seen>(
  tools: StepTools,
  input: StepInput,
  look: (terms: readonly Term[]) => Seen,
): Seen {
  const { topology, networksAtOnce = 1, onStreams = false } = tools;
  const separated = networksAtOnce > 1 && topology?.isSeparable === true ? new SeparatedOutputs() : null;
  try {
    // LibTorch takes the way back of every operation on the stream that it was run on.
    const own = { ...input, onStreams, ...(separated === null ? {} : { separated }) };
    const { total, seen } = sumOfTerms(tools, own, look);
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
    return seen;
  } finally {
    separated?.dispose();
    topology?.forget?.();
  }
}

/** The weighted sum of the losses with its graph, and what was seen of all terms. */
function sumOfTerms<Seen>(
  { method, precision }: StepTools,
  input: StepInput,
  look: (terms: readonly Term[]) => Seen,
): { total: Tensor; seen: Seen } {
  // The scope ends before backward: only what the graph needs stays, and is freed on the way back.
  return scope(() => {
    const terms = precision === 'bfloat16' ? autocast(() => method.terms(input)) : method.terms(input);
    const weighted = Object.values(terms.losses)
      .filter(({ weight }) => weight !== 0)
      .map(({ value, weight }) => (weight === 1 ? value : value.mul(weight)));
    const total = ops.stack(weighted, 0).sum();
    return { total, seen: look(listOf(terms, total)) };
  });
}

function listOf({ losses, measured = {} }: StepTerms, total: Tensor): Term[] {
  return [
    ...Object.entries(losses).map(([name, { value }]) => ({ name, kind: 'loss term' as const, value })),
    ...Object.entries(measured).map(([name, value]) => ({ name, kind: 'measure' as const, value })),
    { name: 'total', kind: 'loss term', value: total },
  ];
}

/** @throws {NotFiniteError} naming a term that is not finite */
function readTerms(terms: readonly Term[], ranks: StepRanks | undefined, where: string): TermValues {
  const own: TermValues = {};
  for (const { name, value } of terms) own[name] = typeof value === 'number' ? value : value.item();
  const values = ranks?.agreeOnValues(own) ?? own;
  assertTermsFinite(terms, values, where);
  return values;
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
  const own = scope(() => squaredNormOf(optimizers)?.item() ?? 0);
  // A step is left out on all ranks or on none.
  const norm = ranks?.sum(own) ?? own;
  if (!Number.isFinite(norm)) throw gradientsNotFinite(norm, where);
}

/** Of all gradients together, `[]`; null where there are none. */
function squaredNormOf(optimizers: readonly optim.Optimizer[]): Tensor | null {
  return noGrad(() =>
    scope(() => {
      const parameters = optimizers.flatMap((optimizer) => optimizer.parameters);
      const gradients = parameters.flatMap(({ grad }) => (grad === null ? [] : [grad]));
      return gradients.length === 0 ? null : ops.stack(ops._foreachNorm(gradients), 0).square().sum();
    }),
  );
}
