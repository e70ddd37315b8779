/** Everything that the training of a segmenter or detector works with, built from its recipe for the one training loop. */
import { assertArithmetic, engineInfo, Generator, seedDefaultGenerator, type optim } from '@cohort-ml/torch';
import { describeProvenance } from '../../checkpoints/provenance.ts';
import { cohortModules, networkNames, type Cohort } from '../../cohort/cohort.ts';
import { applyDevice } from '../../cohort/device.ts';
import { applyThreads, describeMachine } from '../../cohort/environment.ts';
import { hashKeys, RANDOM_PURPOSE } from '../../data/loading/random.ts';
import { createMethod, crossingOutputs, type MethodContext } from '../../methods/index.ts';
import { createNetwork, type Network } from '../../models/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { at } from '../../support/at.ts';
import type { Placement } from '../../topology/index.ts';
import { GradientClipping } from '../../train/loop/gradientClipping.ts';
import type { Plan } from '../../train/distributed/plan.ts';
import { createOptimizer, createSchedule } from '../../train/loop/optimizer.ts';
import {
  assertValidation,
  openSession,
  type Session,
  type SessionOpener,
  type TrainOptions,
} from '../../train/run/session.ts';
import { TaskError } from '../errors.ts';
import { planOfTask } from './planTask.ts';
import { RegionTopology, TaskMethod } from './regionTopology.ts';
import { TaskBatches } from './taskBatches.ts';
import { loadTaskData, taskResize, type TaskData, type TaskRecipe } from './taskData.ts';
import { taskEvaluation } from './taskEvaluation.ts';
import { createTask } from './tasks.ts';
import { loadTaskWeights } from './taskWeights.ts';
import type { TaskModel, VisionTask } from './visionTask.ts';

/** A session of whatever task the recipe has. */
export const openAnySession: SessionOpener = (recipe, options, from = null) =>
  hasTask(recipe) ? openTaskSession(recipe, options, from) : openSession(recipe, options, from);

/** Whether a recipe has a task other than classification. */
export function hasTask(recipe: ResolvedRecipe): recipe is TaskRecipe {
  return recipe.task !== undefined;
}

/** The models of a recipe with fresh weights, and the classifiers that they are built from. */
export function createModels(
  recipe: TaskRecipe,
  task: VisionTask<unknown>,
): { networks: Network[]; models: TaskModel<unknown>[] } {
  const networks: Network[] = [];
  const models = recipe.networks.map(({ model: name }, index) => {
    const generator = new Generator(hashKeys(RANDOM_PURPOSE.weights, recipe.seed, index));
    // A classifier has two classes at least; this one's is not used.
    const network = createNetwork(name, { classes: 2, channels: 3, generator });
    networks.push(network);
    const model = task.createModel(network, generator);
    return recipe.train.channelsLast ? model.toMemoryFormat('channelsLast') : model;
  });
  return { networks, models };
}

/** Batches for evaluation hold fewer images than those of classifiers, which are smaller. */
const evaluationBatchSize = 8;

/** Batches of a split as it is, in order. */
export function evaluationBatches(recipe: TaskRecipe, data: TaskData, images: TaskData['test']): TaskBatches {
  return new TaskBatches(images, {
    size: data.size,
    batchSize: evaluationBatchSize,
    normalisation: data.normalisation,
    channelsLast: recipe.train.channelsLast,
  });
}

/** Builds it all. */
async function openTaskSession(
  recipe: TaskRecipe,
  options: TrainOptions,
  from: Parameters<SessionOpener>[2],
): Promise<Session & Required<Pick<Session, 'plan'>>> {
  const startedAt = performance.now();
  const { reporter, signal, stopAfterSeconds = Infinity } = options;
  const device = applyDevice(recipe);
  assertArithmetic();
  applyThreads(recipe, reporter);
  seedDefaultGenerator(recipe.seed);
  const data = await loadTaskData(recipe, { reporter, signal, normalisation: from?.normalisation });
  const task = createTask(recipe.task, data.classes);
  const { networks, models } = createModels(recipe, task);
  const usesRegions = recipe.method.name !== 'independent';
  if (recipe.method.name === 'mcl') assertWidths(networks, models, task);
  const training = new TaskBatches(data.train, {
    size: data.size,
    batchSize: recipe.train.batchSize,
    normalisation: data.normalisation,
    seed: recipe.seed,
    transforms: recipe.task,
    channelsLast: recipe.train.channelsLast,
    regions: usesRegions ? (targets) => task.regions(targets) : null,
  });
  const validation = data.validation === null ? null : evaluationBatches(recipe, data, data.validation);
  assertValidation(recipe, validation);
  const test = evaluationBatches(recipe, data, data.test);
  const generator = new Generator(hashKeys(RANDOM_PURPOSE.method, recipe.seed));
  const { ranks } = options;
  const distribution =
    ranks === undefined ? null : { exchange: ranks.exchange, crossing: crossingOutputs(recipe.method) };
  const topology = new RegionTopology({ task, models, batches: training, usesRegions, distribution });
  const context: MethodContext = {
    networks,
    topology,
    classes: task.regionClasses,
    generator,
    classification: topology.classification,
    batchSize: recipe.train.batchSize,
  };
  const method = new TaskMethod(createMethod(recipe.method, context), () => topology.lossParts());
  const cohort: Cohort = {
    networks,
    modules: models,
    names: networkNames(recipe),
    method,
    topology,
    generator,
  };
  if (from == null)
    loadWeights(recipe, models, task, (text) => {
      reporter.message(text);
    });
  if (method.notice !== null) reporter.message(method.notice);
  const regions = await countRegions(training);
  const modules = cohortModules(recipe, cohort);
  const optimizer = createOptimizer(
    recipe,
    modules.map(([, module]) => module),
  );
  const { gradientClipping } = recipe.train;
  const optimizers: [string, optim.Optimizer][] = [['optimizer', optimizer]];
  return {
    recipe,
    cohort,
    modules,
    optimizer,
    optimizers,
    clipping:
      gradientClipping === null
        ? null
        : new GradientClipping(
            gradientClipping,
            [...models, ...Object.values(method.modules)],
            optimizer.parameters,
            ranks && ((parameters) => ranks.gradientNorms(parameters)),
          ),
    schedule: createSchedule(recipe),
    training,
    validation,
    test,
    heldOut: null,
    onlineProbe: null,
    evaluation: taskEvaluation({ task, models, validation, test, cohort, ranks }),
    images: {
      classes: data.classes,
      channels: 3,
      ...data.size,
      normalisation: data.normalisation,
      resize: taskResize,
    },
    dataset: data.dataset,
    learnedFrom: [],
    provenance: describeProvenance(recipe, data.dataset),
    machine: describeMachine(engineInfo(), device),
    ...(ranks === undefined ? {} : { ranks }),
    plan: (placement) =>
      planOfTask(
        {
          recipe,
          task,
          models,
          regions,
          clipped: gradientClipping === null ? 0 : optimizer.parameters.length,
        },
        placement,
      ),
    isTimeOver: () => performance.now() - startedAt >= stopAfterSeconds * 1000,
    dispose: () => {
      for (const [, module] of modules) module.dispose();
      for (const [, each] of optimizers) each.dispose();
      for (const each of [training, validation, test]) each?.dispose();
    },
  };
}

/** The plan of a recipe on its own images. */
export async function planTask(
  recipe: TaskRecipe,
  placement: Placement,
  options: Pick<TrainOptions, 'reporter' | 'signal'>,
): Promise<Plan> {
  const session = await openTaskSession(recipe, { ...options, command: 'a plan' }, null);
  try {
    return session.plan(placement);
  } finally {
    session.dispose();
  }
}

/** How many regions the first batch has. */
async function countRegions(training: TaskBatches): Promise<number> {
  await training.ready(0, 0);
  const batch = training.batch(0, 0);
  try {
    return training.regionsOf(batch.images).length;
  } finally {
    batch.dispose();
  }
}

/** Embedding heads are as wide as the classifier's embedding, which must be the features that regions are pooled from. */
function assertWidths(
  networks: readonly Network[],
  models: readonly TaskModel<unknown>[],
  task: VisionTask<unknown>,
): void {
  const odd = networks.find(
    (network, index) => network.embeddingSize !== task.embeddingSizeOf(at(models, index)),
  );
  if (odd === undefined) return;
  throw new TaskError(
    `${odd.constructor.name} has layers between its last stage and its embedding, which contrast of regions does not run.`,
    'Use a residual network, or method dml or independent.',
  );
}

function loadWeights(
  recipe: TaskRecipe,
  models: readonly TaskModel<unknown>[],
  task: VisionTask<unknown>,
  tell: (text: string) => void,
): void {
  const names = networkNames(recipe);
  for (const [index, { model, weights }] of recipe.networks.entries()) {
    if (weights === null) continue;
    const ordinal = recipe.networks.slice(0, index).filter((other) => other.model === model).length;
    const options = { path: weights, model, ordinal, classes: task.classes.length };
    tell(loadTaskWeights(at(names, index), at(models, index), options));
  }
}
