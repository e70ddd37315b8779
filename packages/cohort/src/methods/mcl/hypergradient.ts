/**
 * Hypergradient through look-ahead SGD steps: how a loss after a few steps depends on the meta-parameters that shaped
 * them (Yang et al., arXiv 2207.11518, section 3.4; reverse mode as in Franceschi et al., arXiv 1703.01785, section 3.1).
 *
 * Each step is differentiated on its own, from the last to the first, so that memory holds the graph of one step and one
 * copy of the parameters per step, not the graph of all steps; where memory allows, more graphs are kept, which saves time.
 */
import {
  enableGrad,
  grad,
  gradOfGrad,
  keep,
  memoryStatistics,
  noGrad,
  ops,
  scope,
  type nn,
  type Tensor,
} from '@cohort-ml/torch';
import { at } from '../../support/at.ts';

/**
 * The SGD that look-ahead steps are taken with; momentum starts from zero. As in `optim.SGD` and PyTorch, a step leaves
 * parameters that its loss does not reach as they are: neither weight decay nor momentum moves them.
 */
export interface LookAheadSgd {
  readonly learningRate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

/** What is differentiated. */
export interface LookAhead {
  /** What the steps change; restored exactly in any case. */
  readonly parameters: readonly nn.Parameter[];
  /** What a forward pass changes in passing, e.g. running statistics of batch normalisation; put back likewise. */
  readonly buffers: readonly Tensor[];
  /** What the hypergradient is taken of. */
  readonly metaParameters: readonly nn.Parameter[];
  /** The loss of each look-ahead step in order, computed from the parameters as they then are. */
  readonly steps: readonly (() => Tensor)[];
  /** The loss after the last step. */
  readonly outer: () => Tensor;
  readonly sgd: LookAheadSgd;
  /**
   * How many of the last steps keep the graph of their gradients until the way back; the others compute it a second time
   * there. The result is the same. Default: 1, which takes next to no more memory at the peak.
   */
  readonly graphsKept?: number;
}

/** The result. */
export interface Hypergradient {
  /** d outer / d metaParameter, one a meta-parameter. */
  readonly gradients: Tensor[];
  /** Loss of every look-ahead step. */
  readonly stepLosses: readonly number[];
  readonly outerLoss: number;
  /** Memory of the last step's graph in bytes, as the caching allocator counts it; 0 where none was kept. */
  readonly graphBytes: number;
}

/** One step that was taken. */
interface TakenStep {
  /** Parameters before it. */
  readonly parameters: readonly Tensor[];
  /** Whether its loss depends on each parameter; the step left the others alone. */
  readonly isReached: readonly boolean[];
  /** Its gradients with the graph that leads to them; null where that was not kept. */
  readonly recorded: readonly (Tensor | null)[] | null;
}

/** Takes the steps, differentiates the outer loss back through all of them, and leaves everything as it was. */
export function hypergradient(lookAhead: LookAhead): Hypergradient {
  const { parameters, buffers } = lookAhead;
  const restore = borrow(parameters, buffers);
  try {
    return scope(() => enableGrad(() => differentiate(lookAhead)));
  } finally {
    restore();
  }
}

/**
 * Gives every buffer a copy to spoil and remembers where parameters and buffers had their data: putting these back costs
 * nothing and is exact.
 */
function borrow(parameters: readonly nn.Parameter[], buffers: readonly Tensor[]): () => void {
  const originals = scope(() => keep([...parameters, ...buffers].map((tensor) => tensor.detach())));
  noGrad(() => {
    scope(() => {
      for (const buffer of buffers) buffer.setData(buffer.clone());
    });
  });
  return () => {
    for (const [index, tensor] of [...parameters, ...buffers].entries()) {
      const original = at(originals, index, 'the parameters and buffers that were borrowed');
      tensor.setData(original);
      original.dispose();
    }
  };
}

function differentiate(lookAhead: LookAhead): Hypergradient {
  const { parameters, metaParameters, steps, outer, sgd, graphsKept = 1 } = lookAhead;
  const taken: TakenStep[] = [];
  const stepLosses: number[] = [];
  let graphBytes = 0;
  let velocities = parameters.map((parameter) => ops.zerosLike(parameter.detach()));
  for (const [index, step] of steps.entries()) {
    const before = parameters.map((parameter) => parameter.detach());
    const keepsGraph = index >= steps.length - graphsKept;
    const usedBefore = memoryStatistics().usedBytes;
    const result = takeStep(parameters, velocities, step, sgd, stepLosses, keepsGraph);
    if (keepsGraph) graphBytes = memoryStatistics().usedBytes - usedBefore;
    velocities = result.velocities;
    taken.push({ parameters: before, isReached: result.isReached, recorded: result.recorded });
  }
  const [outerLoss, outerGradients] = scope(() => {
    const loss = outer();
    const outerGradients = grad(loss, parameters, { allowUnused: true }).map(
      (gradient, index) => gradient ?? ops.zerosLike(at(parameters, index).detach()),
    );
    return [loss.item(), outerGradients] as const;
  });
  // Adjoints of the parameters and of the velocities after the step at hand.
  let adjoints = outerGradients;
  let velocityAdjoints = parameters.map((parameter) => ops.zerosLike(parameter.detach()));
  const gradients = metaParameters.map((parameter) => ops.zerosLike(parameter.detach()));
  for (let index = steps.length - 1; index >= 0; index -= 1) {
    const [forward, step] = [at(taken, index, 'the steps taken'), at(steps, index, 'the look-ahead steps')];
    for (const [place, parameter] of parameters.entries()) parameter.setData(at(forward.parameters, place));
    [adjoints, velocityAdjoints] = stepBack(
      lookAhead,
      step,
      { ...forward, hasEarlier: index > 0 },
      adjoints,
      velocityAdjoints,
      gradients,
    );
  }
  return { gradients, stepLosses, outerLoss, graphBytes };
}

/**
 * One step of SGD into new memory, so that the parameters before stay as they were.
 * @returns the new velocities, and which parameters the loss depends on
 */
function takeStep(
  parameters: readonly nn.Parameter[],
  velocities: readonly Tensor[],
  step: () => Tensor,
  sgd: LookAheadSgd,
  losses: number[],
  keepsGraph: boolean,
): { velocities: Tensor[] } & Pick<TakenStep, 'isReached' | 'recorded'> {
  return scope(() => {
    const loss = step();
    losses.push(loss.item());
    const gradients = grad(loss, parameters, { allowUnused: true, createGraph: keepsGraph });
    const next = noGrad(() =>
      parameters.map((parameter, index) => {
        const gradient = at(gradients, index, 'the gradients');
        if (gradient === null) return at(velocities, index);
        const decayed = gradient.add(parameter, { alpha: sgd.weightDecay });
        const velocity = at(velocities, index).mul(sgd.momentum).add(decayed);
        const direction = sgd.nesterov ? decayed.add(velocity, { alpha: sgd.momentum }) : velocity;
        parameter.setData(parameter.sub(direction, { alpha: sgd.learningRate }));
        return velocity;
      }),
    );
    return {
      velocities: next,
      isReached: gradients.map((gradient) => gradient !== null),
      recorded: keepsGraph ? gradients : null,
    };
  });
}

/**
 * The adjoints before a step from those after it. With `g = gradient + weightDecay p`, `v' = momentum v + g` and
 * `p' = p - learningRate d`, where `d` is `v'` or, for Nesterov, `g + momentum v'`:
 *
 *     dv' = dv'(later) - learningRate (nesterov ? momentum : 1) dp'
 *     dg  = dv' - (nesterov ? learningRate dp' : 0)
 *     dv  = momentum dv',  dp = dp' + weightDecay dg + (d gradient / d p)^T dg,  dmeta += (d gradient / d meta)^T dg
 *
 * The adjoints of parameters that the step's loss does not reach pass through as they are.
 *
 * @param forward of the step; where no step came before, only dmeta is asked for, and dp is not right
 */
function stepBack(
  { parameters, metaParameters, sgd }: LookAhead,
  step: () => Tensor,
  {
    isReached,
    recorded,
    hasEarlier,
  }: Pick<TakenStep, 'isReached' | 'recorded'> & { readonly hasEarlier: boolean },
  adjoints: readonly Tensor[],
  velocityAdjoints: readonly Tensor[],
  gradients: readonly Tensor[],
): [Tensor[], Tensor[]] {
  return scope(() => {
    const viaVelocity = -sgd.learningRate * (sgd.nesterov ? sgd.momentum : 1);
    const ofVelocity = velocityAdjoints.map((value, index) =>
      value.add(at(adjoints, index), { alpha: viaVelocity }),
    );
    const ofGradient = sgd.nesterov
      ? ofVelocity.map((value, index) => value.sub(at(adjoints, index), { alpha: sgd.learningRate }))
      : ofVelocity;
    const asked = hasEarlier ? [...metaParameters, ...parameters] : metaParameters;
    const products =
      recorded === null
        ? gradOfGrad(step(), parameters, ofGradient, asked)
        : gradOfRecorded(recorded, ofGradient, asked);
    for (const [index, total] of gradients.entries()) {
      const product = at(products, index, 'the products');
      if (product !== null) total.add_(product);
    }
    const before = adjoints.map((value, index) => {
      if (isReached[index] !== true) return value;
      const decayed = value.add(at(ofGradient, index), { alpha: sgd.weightDecay });
      const product = hasEarlier ? at(products, metaParameters.length + index, 'the products') : null;
      return product === null ? decayed : decayed.add_(product);
    });
    const velocitiesBefore = ofVelocity.map((value, index) =>
      isReached[index] === true ? value.mul(sgd.momentum) : at(velocityAdjoints, index),
    );
    return [before, velocitiesBefore];
  });
}

/** As `gradOfGrad`, of first gradients that are recorded already; their graph is released. */
function gradOfRecorded(
  recorded: readonly (Tensor | null)[],
  vectors: readonly Tensor[],
  inputs: readonly Tensor[],
): (Tensor | null)[] {
  // A gradient that is missing or constant depends on nothing.
  const places = [...recorded.keys()].filter((place) => recorded[place]?.requiresGrad === true);
  const outputs = places.flatMap((place) => recorded[place] ?? []);
  if (outputs.length === 0) return inputs.map(() => null);
  const products = grad(outputs, inputs, {
    gradients: places.map((place) => at(vectors, place, 'the vectors')),
    allowUnused: true,
  });
  for (const gradient of recorded) gradient?.dispose();
  return products;
}
