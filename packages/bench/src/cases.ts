/** The benchmark's cases: what is measured, by whom, and how they are picked by name; pure data, without the engine. */
import { nearestName } from 'cohort-ml/internal';
import { BenchError } from './errors.ts';
import type { PyTorch } from './python.ts';
import type { Precision, Work } from './work.ts';

/** One program that does a case's work. */
export interface Contestant {
  /** E.g. `Cohort bfloat16`. */
  readonly name: string;
  readonly program: 'cohort' | 'pytorch' | 'torchdistill' | 'onnxruntime';
  /** Whether it is what the others are compared with. */
  readonly isReference: boolean;
  readonly precision: Precision;
  readonly work: Work;
  /** Of a contestant on PyTorch: which one. */
  readonly pytorch?: PyTorch;
  /** Whether PyTorch compiles the networks. */
  readonly compiles?: boolean;
}

/** One case: programs that do the same work in turn. */
export interface BenchCase {
  readonly name: string;
  /** What is measured, in words. */
  readonly title: string;
  readonly contestants: readonly Contestant[];
  /** Repetitions before anything counts. */
  readonly warmups: number;
  /** Once it has taken so long, three rounds are enough. */
  readonly budgetSeconds: number;
}

const precisions = ['float32', 'bfloat16'] as const;
const batch = 128;

/** After so many steps, the time of a step no longer falls. */
const stepWarmups = 4;

/** Both sides, in each precision. Rounds go through them in this order. */
function bothSides(work: Work, of: readonly Precision[]): Contestant[] {
  return of.flatMap((precision) => [
    { name: `Cohort ${precision}`, program: 'cohort', isReference: false, precision, work },
    { name: `PyTorch ${precision}`, program: 'pytorch', isReference: true, precision, work },
  ]);
}

/** Both sides and ONNX Runtime, which computes in float32 only. */
function allSides(work: Work, of: readonly Precision[]): Contestant[] {
  const runtime = {
    name: 'ONNX Runtime float32',
    program: 'onnxruntime',
    isReference: true,
    precision: 'float32',
    work,
  } as const;
  return [...bothSides(work, of), runtime];
}

function stepCase(name: string, title: string, models: readonly string[]): BenchCase {
  const work = { kind: 'step', method: 'mcl', models, batch, metaStep: false } as const;
  return { name, title, contestants: bothSides(work, precisions), warmups: stepWarmups, budgetSeconds: 60 };
}

/** A step of a method that torchdistill has too: both sides, and torchdistill's own training on the same networks. */
function torchdistillCase(
  name: string,
  title: string,
  method: 'independent' | 'dml',
  models: readonly string[],
): BenchCase {
  const work = { kind: 'step', method, models, batch, metaStep: false } as const;
  const torchdistill = {
    name: 'torchdistill float32',
    program: 'torchdistill',
    isReference: true,
    precision: 'float32',
    work,
  } as const;
  return {
    name,
    title,
    contestants: [...bothSides(work, ['float32']), torchdistill],
    warmups: stepWarmups,
    budgetSeconds: 30,
  };
}

/** MCL on images of a size that large-image networks see at the beginning of progressive training. */
function largeImageCase(name: string, title: string, imageSize: number, images: number): BenchCase {
  const models = ['imagenet-resnet18', 'imagenet-resnet18'];
  const work = { kind: 'step', method: 'mcl', models, batch: images, metaStep: false, imageSize } as const;
  return { name, title, contestants: bothSides(work, precisions), warmups: stepWarmups, budgetSeconds: 60 };
}

function lmclCase(name: string, title: string, metaStep: boolean): BenchCase {
  const models = ['resnet32', 'resnet32'];
  const work = { kind: 'step', method: 'l-mcl', models, batch, metaStep } as const;
  // The meta step has no bfloat16 form: only the training step before it would differ.
  const contestants = bothSides(work, metaStep ? ['float32'] : precisions);
  // Graphs are kept from the second meta step on, in memory that the third one finds at hand, like all that follow.
  return { name, title, contestants, warmups: metaStep ? 3 : stepWarmups, budgetSeconds: 60 };
}

function mocoCase(name: string, title: string): BenchCase {
  const models = ['resnet32', 'resnet32'];
  const work = { kind: 'step', method: 'moco-mcl', models, batch, metaStep: false } as const;
  return { name, title, contestants: bothSides(work, precisions), warmups: stepWarmups, budgetSeconds: 60 };
}

function lossesCase(networks: number, stages: number, batchSize: number): BenchCase {
  const work = { kind: 'losses', networks, stages, batch: batchSize } as const;
  return {
    name: `losses-${networks}x${stages}-${batchSize}`,
    title: `losses alone: ${networks} networks, ${stages === 1 ? 'last stage' : `${stages} stages`}, batch ${batchSize}`,
    contestants: bothSides(work, ['float32']),
    warmups: 1,
    budgetSeconds: 2,
  };
}

function photosCase(size: number): BenchCase {
  const readers = ['loader', 'disk cache', 'sharp'] as const;
  return {
    name: `data-folder-${size}`,
    title: `a folder of 200 JPEGs of 500x375 to ${size}x${size}`,
    contestants: readers.map((reader) => ({
      name: reader === 'sharp' ? 'sharp alone' : `Cohort ${reader}`,
      program: 'cohort',
      isReference: reader === 'sharp',
      precision: 'float32',
      work: { kind: 'photos', reader, images: 200, size },
    })),
    warmups: 1,
    budgetSeconds: 15,
  };
}

/** Every case, in the order that they run in. */
export const benchCases: readonly BenchCase[] = [
  stepCase('mcl-resnet32-x2', 'MCL step: 2 x ResNet-32, batch 128', ['resnet32', 'resnet32']),
  stepCase('mcl-wrn-16-2-x2', 'MCL step: 2 x WRN-16-2, batch 128', ['wrn-16-2', 'wrn-16-2']),
  stepCase('mcl-shufflenetv2-1x-x2', 'MCL step: 2 x ShuffleNetV2 1x, batch 128', [
    'shufflenetv2-1x',
    'shufflenetv2-1x',
  ]),
  stepCase('mcl-mobilenetv2-x2', 'MCL step: 2 x MobileNetV2, batch 128', ['mobilenetv2', 'mobilenetv2']),
  stepCase('mcl-mixed', 'MCL step: ResNet-32 and WRN-16-2, batch 128', ['resnet32', 'wrn-16-2']),
  stepCase('mcl-resnet32-x4', 'MCL step: 4 x ResNet-32, batch 128', Array<string>(4).fill('resnet32')),
  lmclCase('lmcl-resnet32-x2', 'L-MCL step: 2 x ResNet-32, batch 128', false),
  lmclCase('lmcl-meta-resnet32-x2', 'L-MCL step with its meta step: 2 x ResNet-32, batch 128', true),
  largeImageCase(
    'mcl-imagenet-resnet18-x2-64px',
    'MCL step: 2 x ImageNet ResNet-18, batch 64, 64x64',
    64,
    64,
  ),
  torchdistillCase('cross-entropy-resnet32', 'cross-entropy step: one ResNet-32, batch 128', 'independent', [
    'resnet32',
  ]),
  torchdistillCase(
    'dml-resnet32-x2',
    'mutual distillation of logits (DML) step: 2 x ResNet-32, batch 128',
    'dml',
    ['resnet32', 'resnet32'],
  ),
  mocoCase('moco-mcl-resnet32-x2', 'MoCo with MCL step, queue 4,096: 2 x ResNet-32, batch 128'),
  {
    name: 'evaluation-resnet32',
    title: 'evaluation: one ResNet-32, 2,048 images in memory',
    contestants: allSides({ kind: 'evaluation', model: 'resnet32', images: 2048, batch: 256 }, precisions),
    warmups: 1,
    budgetSeconds: 20,
  },
  ...['resnet20', 'shufflenetv2-1x'].map((model): BenchCase => ({
    name: `single-image-${model}`,
    title: `one image at a time through ${model}, in process`,
    contestants: allSides({ kind: 'single-image', model }, ['float32']),
    warmups: 20,
    budgetSeconds: 10,
  })),
  {
    name: 'prediction-resnet32',
    title: 'predict: one ResNet-32, 256 PNG files of 32x32',
    contestants: bothSides({ kind: 'prediction', model: 'resnet32', images: 256, batch: 64 }, ['float32']),
    warmups: 1,
    budgetSeconds: 10,
  },
  {
    name: 'data-memory',
    title: 'data in memory: one batch of 128, 32x32x3, crop and flip',
    contestants: [
      {
        name: 'Cohort float32',
        program: 'cohort',
        isReference: false,
        precision: 'float32',
        work: { kind: 'batches', images: 10_000, batch },
      },
    ],
    warmups: 5,
    budgetSeconds: 5,
  },
  photosCase(224),
  photosCase(64),
  ...[1, 3].flatMap((stages) =>
    [2, 4, 8].flatMap((networks) =>
      [64, 128, 256, 512, 1024].map((batchSize) => lossesCase(networks, stages, batchSize)),
    ),
  ),
];

/**
 * The cases with these names, or whose names begin with them and a hyphen (`mcl`, `losses-4x3`), in the usual order; all
 * without names.
 *
 * @throws {BenchError} for a name that fits no case.
 */
export function selectCases(
  names: readonly string[],
  cases: readonly BenchCase[] = benchCases,
): readonly BenchCase[] {
  if (names.length === 0) return cases;
  const isMeant = (wanted: string, name: string): boolean => name === wanted || name.startsWith(`${wanted}-`);
  for (const wanted of names) {
    if (cases.some(({ name }) => isMeant(wanted, name))) continue;
    const known = cases.map(({ name }) => name);
    const near = nearestName(wanted, known);
    throw new BenchError(
      'benchmark',
      'names of cases, or what such names begin with',
      `'${wanted}'`,
      `${near === null ? '' : `Did you mean '${near}'? `}cohort bench --list shows them all.`,
    );
  }
  return cases.filter(({ name }) => names.some((wanted) => isMeant(wanted, name)));
}

/** Float32 matrices `[B, B]` that losses keep for their backward pass, for one pair of distributions. */
const matricesKept = { cohort: 6, pytorch: 9 } as const;

/**
 * Bytes that a loss case needs, roughly; 0 for other cases, which fit any machine that trains. Plain loops over pairs of
 * stages keep all of their matrices until the backward pass: at 8 networks of 3 stages these fill some 70 gigabytes.
 */
export function estimatedBytes({ work, program }: Contestant): number {
  if (work.kind !== 'losses') return 0;
  const { networks, stages, batch: rows } = work;
  const ordered = networks * (networks - 1) * stages * stages;
  // Ours computes every unordered pair once, in both directions; plain layer-wise loops four distributions a pair.
  const distributions = program === 'cohort' || stages === 1 ? ordered + networks * stages : ordered * 4;
  return distributions * matricesKept[program === 'cohort' ? program : 'pytorch'] * rows * rows * 4;
}
