/**
 * Test help, run as a program: one rank of a group whose ranks share each batch compares a training step with that of one
 * process, method by method; prints the largest relative error of all gradients as JSON.
 */
import { readFileSync } from 'node:fs';
import {
  Generator,
  keep,
  ops,
  optim,
  ProcessGroup,
  scope,
  setThreads,
  tensor,
  type Tensor,
} from '@cohort-ml/torch';
import { at } from '../support/at.ts';
import { createCohort, type Cohort } from '../cohort/cohort.ts';
import type { StepInput } from '../methods/index.ts';
import { parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { rangeOfRows } from '../topology/distributed/batchRows.ts';
import { choosePlacement, ranksOf } from '../train/distributed/join.ts';
import { rowsOfInput } from '../train/distributed/rowsOfInput.ts';
import type { Ranks } from '../train/distributed/ranks.ts';
import { trainStep, type StepRanks } from '../train/loop/step.ts';

/** Arguments: rank, number of ranks, port of rank 0, file with what is to be compared. */
const [rank = '0', size = '1', port = '0', path = ''] = process.argv.slice(2);

/** What is compared: a recipe, in a precision, with so many ranks that share each batch. */
interface Compared {
  readonly recipe: object;
  readonly dtype: 'float32' | 'float64';
  readonly shards: number;
  /** Whether the step is compared with the mean of one process's steps on the parts of the batch. */
  readonly isMeanOfParts?: true;
}

setThreads(1);
const classes = 4;
const images = 10;
const group = new ProcessGroup({
  rank: Number(rank),
  size: Number(size),
  address: `127.0.0.1:${port}`,
  timeoutMs: 600_000,
});

function inputOf(dtype: Compared['dtype']): StepInput {
  const generator = new Generator(11);
  const view = (): Tensor => ops.randn([images, 1, 12, 12], { generator }).to(dtype);
  return {
    images: view(),
    otherView: { images: view() },
    // Every class has its images in several parts of the batch.
    labels: tensor(
      Array.from({ length: images }, (_, index) => index % classes),
      'int64',
    ),
    indices: Int32Array.from({ length: images }, (_, index) => index),
    epoch: 100,
  };
}

function cohortOf(recipe: ResolvedRecipe, dtype: Compared['dtype'], ranks?: Ranks): Cohort {
  const labels = Array.from({ length: 64 }, (_, index) => index % classes);
  const input = { classes, channels: 1 };
  const cohort = createCohort(recipe, input, labels, undefined, ranks?.exchange);
  for (const module of new Set([
    ...cohort.networks,
    ...(cohort.method.deployed ?? []),
    ...Object.values(cohort.method.modules),
  ]))
    module.toDType(dtype);
  return cohort;
}

/** Gradients by name after one step without an optimizer, and running statistics; null for what is on other ranks. */
function stepOf(cohort: Cohort, input: StepInput, ranks?: Ranks): Map<string, Tensor | null> {
  const { networks, method, topology } = cohort;
  const modules = [...networks, ...Object.values(method.modules)];
  const found = new Map<string, Tensor | null>();
  // Statistics of networks that run on other ranks.
  const own = ranks?.exchange.own ?? [...networks.keys()];
  const others = new Set<Tensor>(
    networks
      .flatMap((network, place) =>
        own.includes(place) ? [] : [network, ...(method.ofNetworks?.[place] ?? [])],
      )
      .flatMap((module) => [...module.stateDict().values()]),
  );
  /** Remembers gradients in the place of a step. */
  class Snapshot extends optim.SGD {
    override step(): void {
      for (const [place, module] of modules.entries()) {
        const parameters = new Set<Tensor>(module.parameters());
        for (const [name, value] of module.stateDict()) {
          const isParameter = parameters.has(value);
          if (isParameter && !value.requiresGrad) continue;
          if (!isParameter && (others.has(value) || !/running_(mean|var)$/.test(name))) continue;
          const kept = isParameter ? value.grad : value;
          found.set(`${place} ${name}`, kept === null ? null : keep(kept.detach().clone()));
        }
      }
    }
  }
  const optimizer = new Snapshot(
    [...new Set(modules.flatMap((module) => module.parameters()))].filter((each) => each.requiresGrad),
    { learningRate: 1 },
  );
  const shared: StepRanks | undefined = ranks && {
    sum: ranks.sum,
    agreeOnValues: (values) => ranks.agreeOnValues(values),
    completeGradients: () => {
      ranks.completeGradients(cohort);
    },
  };
  const step = (own: StepInput): unknown =>
    trainStep({ method, topology, optimizer, precision: 'float32', ranks: shared }, own, 'in a test');
  if (ranks === undefined) step(input);
  else ranks.trainingStep(input, step);
  return found;
}

/** The largest error of a tensor, relative to the largest entry of its network or module. */
function errorOf(expected: Map<string, Tensor | null>, received: Map<string, Tensor | null>): number {
  const largest = new Map<string, number>();
  const moduleOf = (name: string): string =>
    `${name.split(' ')[0] ?? ''} ${String(name.includes('running'))}`;
  for (const [name, value] of expected) {
    const size_ = value?.abs().max().item() ?? 0;
    largest.set(moduleOf(name), Math.max(size_, largest.get(moduleOf(name)) ?? 0));
  }
  return Math.max(
    0,
    ...[...received].flatMap(([name, value]) => {
      const whole = expected.get(name) ?? null;
      if (value === null || whole === null) return [];
      return value.sub(whole).abs().max().item() / Math.max(1e-30, largest.get(moduleOf(name)) ?? 0);
    }),
  );
}

/** Means of gradients and statistics over steps on the parts of the batch. */
function meanOf(steps: readonly Map<string, Tensor | null>[]): Map<string, Tensor | null> {
  const [first = new Map<string, Tensor | null>()] = steps;
  return new Map(
    [...first].map(([name, value]) => {
      if (value === null) return [name, null];
      const all = steps.map((step) => step.get(name) ?? value);
      return [name, ops.stack(all, 0).mean([0])];
    }),
  );
}

const results = (JSON.parse(readFileSync(path, 'utf8')) as readonly Compared[]).map(
  ({ recipe: given, dtype, shards, isMeanOfParts }, index) =>
    scope(() => {
      const recipe = parseRecipe(JSON.stringify(given));
      const placement = choosePlacement(recipe.networks.length, group.size, { shards });
      // Parts of a group need names of their own.
      const own = group.part(
        `case ${index}`,
        Array.from({ length: group.size }, (_, each) => each),
      );
      const ranks = ranksOf(own, placement, shards, recipe.train.dataParallel);
      const input = inputOf(dtype);
      const expected =
        isMeanOfParts === true
          ? meanOf(
              Array.from({ length: shards }, (_, part) =>
                stepOf(cohortOf(recipe, dtype), rowsOfInput(input, { ...rangeOfRows(images, shards, part) })),
              ),
            )
          : stepOf(cohortOf(recipe, dtype), input);
      const received = stepOf(cohortOf(recipe, dtype, ranks), input, ranks);
      const gradients = [...received].filter(([name, value]) => value !== null && !name.includes('running'));
      const error = errorOf(expected, received);
      ranks.leave();
      return { error, gradients: gradients.length, own: at(placement, ranks.exchange.rank, 'the placement') };
    }),
);
console.log(JSON.stringify(results));
group.leave();
process.exit(0);
