/**
 * Any method with an exponential moving average of its networks' weights (Polyak and Juditsky, 1992; as in mean teachers,
 * arXiv 1703.01780): the averages are what is measured and kept for use, and the training itself stays as it is.
 *
 * Parameters and the running statistics of batch normalisation are averaged alike, counters are copied: networks in
 * evaluation mode normalise with statistics that belong to their averaged weights. Where a method has an ensemble of its
 * own, its modules are averaged too, and the ensemble is computed with the averages of everything.
 */
import { keep, nn, noGrad, scope, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { AverageCounter, startAverages, updateAverages } from './average.ts';
import { averageTeacherTerm, LogitsRecorder, type AverageTeacherSettings } from './averageTeacher.ts';
import type { Method, MethodContext } from '../method.ts';
import { at } from '../../support/at.ts';

/** How weights are averaged. */
export interface WeightAverageSettings {
  /** Share of the old average that a step keeps. */
  readonly decay: number;
  /** Whether step t keeps `min(1 - 1 / (t + 1), decay)`, a plain mean at first. */
  readonly warmUp: boolean;
  /** Whether and how networks learn from the ensemble of the averages. */
  readonly teacher?: AverageTeacherSettings | null;
}

/** Averages of the tensors of a method's own modules; buffers, since nothing trains them. */
class ModuleAverages extends nn.Module {
  readonly tensors: readonly Tensor[];

  constructor(sources: readonly Tensor[]) {
    super();
    this.tensors = noGrad(() => keep(sources.map((source) => source.detach().clone())));
  }

  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** A tensor that changes in training, and its average. */
interface Averaged {
  readonly source: Tensor;
  readonly average: Tensor;
}

/**
 * Puts averages on top of a method.
 *
 * @throws {RangeError} where the method keeps averages of its own, or the context has no way to make networks for them
 */
export function withWeightAverages(
  inner: Method,
  context: MethodContext,
  settings: WeightAverageSettings,
): Method {
  const { networks, freshNetworks } = context;
  if (inner.deployed !== undefined || freshNetworks === undefined) {
    throw new RangeError(
      'withWeightAverages: expected a method without averages of its own and a context with freshNetworks, got another. Set train.weightAverage to null.',
    );
  }
  const deployed = freshNetworks();
  // Layers that the networks share have one average.
  const averageTopology = (context.topology ?? new Peers(networks)).over(deployed);
  startAverages(deployed, networks);
  const counter = new AverageCounter();
  const ownTensors = tensorsOf(Object.values(inner.modules));
  const ofModules = inner.ensemble === undefined ? null : new ModuleAverages(ownTensors);
  const pairs = pairUp(
    [...tensorsOf(networks), ...(ofModules === null ? [] : ownTensors)],
    [...tensorsOf(deployed), ...(ofModules?.tensors ?? [])],
  );
  const update = (): void => {
    const warm = counter.next(settings.decay);
    move(pairs, settings.warmUp ? warm : settings.decay);
  };
  return {
    ...delegated(inner),
    modules: {
      ...inner.modules,
      weightAverages: counter,
      ...(ofModules === null ? {} : { moduleAverages: ofModules }),
    },
    deployed,
    ...taught(inner, context, { topology: averageTopology, networks: deployed }, settings.teacher ?? null),
    ...(inner.ensemble === undefined
      ? {}
      : {
          ensemble: (outputs, images) => exchanged(pairs, () => inner.ensemble?.(outputs, images) ?? images),
        }),
    afterStep: (step, stepContext) => {
      const measured = inner.afterStep?.(step, stepContext);
      update();
      return measured;
    },
  };
}

/** The method's terms and, where there is a teacher, the one of its ensemble. */
function taught(
  inner: Method,
  { topology }: MethodContext,
  averages: { readonly topology: Topology; readonly networks: readonly Network[] },
  teacher: AverageTeacherSettings | null,
): Pick<Method, 'terms'> {
  if (teacher === null) return { terms: (step) => inner.terms(step) };
  if (!(topology instanceof LogitsRecorder)) {
    throw new RangeError(
      'withWeightAverages: expected a method that was built on a LogitsRecorder, for the teacher, got another topology.',
    );
  }
  return {
    terms: (step) => {
      const { losses, measured = {} } = inner.terms(step);
      const averageTeacher = averageTeacherTerm(topology.take(), averages, step, teacher);
      return { losses: { ...losses, averageTeacher }, measured };
    },
  };
}

/** Every hook that the averages leave as it is; what a method lacks stays absent. */
function delegated(inner: Method): Omit<Method, 'terms' | 'modules' | 'deployed' | 'ensemble' | 'afterStep'> {
  const { optimizers, state, leader, heldOut, contrastSpace, notice, ofNetworks, refining } = inner;
  return {
    ...(optimizers === undefined ? {} : { optimizers }),
    ...(leader === undefined ? {} : { leader }),
    ...(heldOut === undefined ? {} : { heldOut }),
    ...(contrastSpace === undefined ? {} : { contrastSpace }),
    ...(notice === undefined ? {} : { notice }),
    ...(ofNetworks === undefined ? {} : { ofNetworks }),
    ...(refining === undefined ? {} : { refining }),
    ...(state === undefined ? {} : { state }),
    ...(inner.beforeEpoch === undefined ? {} : { beforeEpoch: (epoch) => inner.beforeEpoch?.(epoch) }),
    ...(inner.wantsOtherBatch === undefined
      ? {}
      : { wantsOtherBatch: (step) => inner.wantsOtherBatch?.(step) ?? false }),
    ...(inner.runsNetworksAfter === undefined
      ? {}
      : { runsNetworksAfter: (step) => inner.runsNetworksAfter?.(step) ?? false }),
    ...(inner.epochMetrics === undefined ? {} : { epochMetrics: () => inner.epochMetrics?.() ?? {} }),
    ...(inner.diagnose === undefined
      ? {}
      : { diagnose: (means, batchSize) => inner.diagnose?.(means, batchSize) }),
  };
}

function tensorsOf(modules: readonly nn.AnyModule[]): Tensor[] {
  return modules.flatMap((module) => [...module.stateDict().values()]);
}

/** Pairs by place; a tensor that several networks share comes once. */
function pairUp(sources: readonly Tensor[], averages: readonly Tensor[]): Averaged[] {
  if (sources.length !== averages.length) {
    throw new RangeError(
      `withWeightAverages: expected an average for each of ${sources.length} tensors, got ${averages.length}`,
    );
  }
  const pairs = new Map<Tensor, Averaged>();
  for (const [index, average] of averages.entries()) {
    const source = sources[index];
    if (source !== undefined && !pairs.has(average)) pairs.set(average, { source, average });
  }
  return [...pairs.values()];
}

function move(pairs: readonly Averaged[], decay: number): void {
  const isCounter = ({ average }: Averaged): boolean => !average.dtype.startsWith('float');
  const averaged = pairs.filter((pair) => !isCounter(pair));
  updateAverages(
    averaged.map(({ average }) => average),
    averaged.map(({ source }) => source),
    decay,
  );
  noGrad(() => {
    for (const { average, source } of pairs.filter(isCounter)) average.copy_(source);
  });
}

/** Runs `body` with the averages in the place of what is trained; exact, since only the memory changes hands. */
function exchanged<Result>(pairs: readonly Averaged[], body: () => Result): Result {
  return scope(() => {
    const originals = pairs.map(({ source }) => source.detach());
    try {
      for (const { source, average } of pairs) source.setData(average.detach());
      return body();
    } finally {
      for (const [index, { source }] of pairs.entries())
        source.setData(at(originals, index, 'the tensors that were trained'));
    }
  });
}
