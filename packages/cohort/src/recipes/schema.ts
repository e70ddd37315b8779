/** The recipe: one strict schema for a whole experiment, which also fills in and thereby spells out every default. */
import * as z from 'zod';
import { augmentationSettings } from '../data/augment/settings.ts';
import { datasetList, datasetNames } from '../data/registry.ts';
import { samplerSettings } from '../data/samplers/settings.ts';
import { methodDefinitions, methodSettings } from '../methods/registry.ts';
import { architectureList, modelNames, type ModelName } from '../models/registry.ts';
import { notNegative, positive } from '../support/numberSchemas.ts';
import { isSection } from '../support/section.ts';
import { taskSchema } from './task.ts';
import {
  classificationSchema,
  earlyStoppingSchema,
  gradientClippingSchema,
  onlineProbeSchema,
  weightAverageSchema,
} from './trainingAids.ts';

/** Lets a section leave out its `name` and still set other keys: `optimizer: { learningRate: 0.05 }` is SGD. */
function withDefaultName<Options extends z.ZodType>(name: string, schema: Options): z.ZodPreprocess<Options> {
  return z.preprocess(
    (section) => (isSection(section) && !Object.hasOwn(section, 'name') ? { name, ...section } : section),
    schema,
  );
}

const sgdSchema = z.strictObject({
  name: z.literal('sgd'),
  learningRate: positive.default(0.1),
  momentum: z.number().min(0).lt(1).default(0.9),
  nesterov: z.boolean().default(true),
  weightDecay: notNegative.default(0.0005),
});

const adamwSchema = z.strictObject({
  name: z.literal('adamw'),
  learningRate: positive.default(0.001),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  epsilon: positive.default(1e-8),
  weightDecay: notNegative.default(0.01),
});

const warmupEpochs = z.int().min(0).default(0);

const cosineSchema = z.strictObject({
  name: z.literal('cosine'),
  warmupEpochs,
  finalLearningRate: notNegative.default(0),
});

const multiStepSchema = z.strictObject({
  name: z.literal('multi-step'),
  /** Epochs after which the learning rate is multiplied by `factor`. */
  milestones: z.array(z.int().min(1)).min(1),
  factor: z.number().positive().lt(1).default(0.1),
  warmupEpochs,
});

const constantSchema = z.strictObject({ name: z.literal('constant') });

/** Images: which, where, how many, and how they are varied in training; without `dataset`, whose names may grow. */
const dataSettings = {
  /** Folder of the files, from the current folder; null means the dataset's usual places. */
  path: z.string().min(1).nullable().default(null),
  /** Height and width that images of any size are brought to; null: decided from the images and the networks. */
  imageSize: z.int().min(8).max(4096).nullable().default(null),
  /** Where decoded images are kept: auto takes memory if they fit, else a file on disk; none decodes them in every epoch. */
  cache: z.enum(['auto', 'memory', 'disk', 'none']).default('auto'),
  /** Refuses broken image files instead of leaving them out. */
  strict: z.boolean().default(false),
  /** Follows links that lead out of the folder of images. */
  followLinks: z.boolean().default(false),
  /**
   * Images to choose by, split off the training images: how many, or their share where below 1; null means none. With
   * them, every evaluation is on them, and the test images are looked at once, at the end.
   */
  validationImages: z.number().positive().nullable().default(null),
  /** Size of a stratified subset of the training images that are left; null means all. */
  trainImages: z.int().min(1).nullable().default(null),
  /** Size of a stratified subset of the test images; null means all. */
  testImages: z.int().min(1).nullable().default(null),
  augmentation: augmentationSettings.prefault({}),
  /** How training batches are put together. */
  sampler: withDefaultName('shuffled', samplerSettings).prefault({}),
};

/** What is done about trouble in the middle of a training. */
const guardsSchema = z.strictObject({
  /** A loss or gradients that are not finite: stop, or leave the step out and count it. */
  notFinite: z.enum(['stop', 'skip']).default('stop'),
  /** Steps that may be left out in a row before the training stops after all. */
  maximumSkips: z.int().min(1).default(10),
  /** A loss that stays above where it began and above `divergenceFactor` times its best, smoothed. */
  divergence: z.enum(['warn', 'stop', 'off']).default('warn'),
  divergenceFactor: z.number().min(1).default(3),
  /** For so many steps. */
  divergenceSteps: z.int().min(1).default(200),
  /** Seconds without a batch after which a warning names what is waited for; null never warns. */
  stalledLoaderSeconds: positive.nullable().default(60),
});

/** How long, in what steps, and with what numbers the cohort is trained. */
export const trainSchema = z.strictObject({
  epochs: z.int().min(1),
  /** Images a step; at least 2, because batch normalisation and contrast need company. */
  batchSize: z.int().min(2).default(64),
  optimizer: withDefaultName('sgd', z.discriminatedUnion('name', [sgdSchema, adamwSchema])).prefault({}),
  schedule: withDefaultName(
    'cosine',
    z.discriminatedUnion('name', [cosineSchema, multiStepSchema, constantSchema]),
  ).prefault({}),
  classification: classificationSchema.prefault({}),
  gradientClipping: gradientClippingSchema.nullable().default(null),
  weightAverage: weightAverageSchema.nullable().default(null),
  earlyStopping: earlyStoppingSchema.nullable().default(null),
  /** What computes: cpu, cuda or cuda:N; auto takes the first graphics card, or the CPU where there is none. */
  device: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d{1,3})?)$/)
    .describe('auto, cpu, cuda or cuda:N')
    .default('auto'),
  probe: onlineProbeSchema.nullable().default(null),
  precision: z.enum(['float32', 'bfloat16']).default('float32'),
  /** On a graphics card, products and convolutions in float32 with 10 bits of mantissa: faster and less exact. */
  tf32: z.boolean().default(false),
  channelsLast: z.boolean().default(true),
  /** Steps whose losses are read from the device together; each is recorded. null reads every step on the CPU, and every 20 on a graphics card. */
  logEverySteps: z.int().min(1).nullable().default(null),
  /**
   * Networks differentiated at the same time, each with its share of the threads; auto takes what leaves no core waiting. On a graphics
   * card, 2 or more gives every network a stream of its own, and auto does not.
   */
  networksAtOnce: z.union([z.literal('auto'), z.int().min(1)]).default('auto'),
  evaluateEveryEpochs: z.int().min(1).default(1),
  checkpointEveryEpochs: z.int().min(1).default(10),
  /** Most seconds of training that a crash may cost; null writes checkpoints after epochs only. */
  checkpointEverySeconds: positive.nullable().default(60),
  /** Checkpoints that are kept: the newest so many. */
  keepLastCheckpoints: z.int().min(1).default(2),
  /** And those so many that were best on validation images, where there are any. */
  keepBestCheckpoints: z.int().min(0).default(1),
  guards: guardsSchema.prefault({}),
  /** Where several ranks share each batch (`cohort launch --shards`): what each of them does with its part alone. */
  dataParallel: z
    .strictObject({
      /** Statistics of batch normalisation: synced over the whole batch, or local to a rank's part. */
      batchNorm: z.enum(['synced', 'local']).default('synced'),
      /** Images to contrast with: gathered from the whole batch, or local to a rank's part. */
      negatives: z.enum(['gathered', 'local']).default('gathered'),
    })
    .prefault({}),
});

/** How the cohort shares layers. */
const topologySchema = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('peers') }),
  z.strictObject({
    name: z.literal('branches'),
    /** Stages that are shared in addition to the stem; the last stage never is. null: all others. */
    sharedStages: z.int().min(0).max(16).nullable().default(1),
  }),
  z.strictObject({
    name: z.literal('tree'),
    /**
     * After how many stages the cohort splits, ascending, 0 for after the stem: groups become two at each, and at the last
     * every network goes its own way. null: as late as can be, as many as it takes to part the cohort two by two.
     */
    splitAfterStages: z.array(z.int().min(0).max(16)).min(1).nullable().default(null),
  }),
]);

/** What a student starts from. */
const networkSettings = {
  /** A file of weights (safetensors, .pt, .pth) or a run folder, from the current folder, or `cohort:NAME` (`cohort weights list`); null means fresh weights. */
  weights: z.string().min(1).nullable().default(null),
};

/** The section of images, for the datasets that are registered now. */
function createDataSchema() {
  return z.strictObject({ dataset: z.enum(datasetNames()), ...dataSettings });
}

/** A whole experiment, for the datasets, architectures and methods that are registered now. */
function createRecipeSchema() {
  // Types know the built-in architectures alone.
  const models = modelNames() as ModelName[];
  return z.strictObject({
    /** Begins the name of the run folder. */
    name: z.string().min(1).max(100),
    /** Seeds every source of randomness. */
    seed: z.int().min(0).max(4_294_967_295).default(1),
    data: createDataSchema(),
    networks: z.array(z.strictObject({ model: z.enum(models), ...networkSettings })).min(1),
    /** Whether networks share nothing, a trunk or a tree of first stages; left out, what the method was made for. */
    topology: topologySchema.prefault({ name: 'peers' }),
    method: methodSettings(),
    /** What the networks are trained for; left out, to classify images. */
    task: taskSchema.optional(),
    train: trainSchema,
    engine: z
      .strictObject({
        /** Threads of LibTorch; null means one for each core. */
        threads: z.int().min(1).max(1024).nullable().default(null),
      })
      .prefault({}),
    /** Folder that run folders are made in, from the current folder. */
    runs: z.string().min(1).default('runs'),
  });
}

type RecipeSchema = ReturnType<typeof createRecipeSchema>;

/** The last schema and the registered things that it was made for. */
let latest: { readonly madeFor: readonly unknown[]; readonly schema: RecipeSchema } | null = null;

/** The schema of a whole recipe; made anew after a dataset, an architecture or a method was registered. */
export function recipeSchema(): RecipeSchema {
  const registered = [datasetList(), architectureList(), methodDefinitions()];
  if (latest?.madeFor.every((list, index) => list === registered[index]) !== true) {
    latest = { madeFor: registered, schema: createRecipeSchema() };
  }
  return latest.schema;
}

/** The schema of the recipe's section of images. */
export function dataSchema(): RecipeSchema['shape']['data'] {
  return recipeSchema().shape.data;
}

/** A recipe after checking, with every default filled in. */
export type ResolvedRecipe = z.output<RecipeSchema>;
/** What may be written in a recipe: as resolved, but defaults may be left out. */
export type RecipeInput = z.input<RecipeSchema>;
/** The resolved optimizer section. */
export type OptimizerRecipe = ResolvedRecipe['train']['optimizer'];
/** The resolved schedule section. */
export type ScheduleRecipe = ResolvedRecipe['train']['schedule'];
