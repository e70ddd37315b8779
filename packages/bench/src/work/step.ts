/** A training step of a recipe's cohort on random images, through the same functions that training uses. */
import {
  Generator,
  nn,
  noGrad,
  ops,
  saveTensors,
  scope,
  seedDefaultGenerator,
  Tensor,
  threads,
} from '@cohort-ml/torch';
import type { Method, StepInput } from 'cohort-ml/internal';
import { createCohort, type Cohort } from 'cohort-ml/internal';
import { networksAtOnce } from 'cohort-ml/internal';
import { createOptimizer } from 'cohort-ml/internal';
import { trainStep, type StepTools } from 'cohort-ml/internal';
import type { StepWork, WorkSpec } from '../work.ts';
import { benchRecipe } from './recipe.ts';
import type { RunningWork } from './running.ts';

/** Sets up networks, method, optimizer and one batch. */
export function startStep(spec: WorkSpec & StepWork): RunningWork {
  const { models, batch, classes, precision, metaStep, imageSize = 32 } = spec;
  seedDefaultGenerator(0);
  const isMoco = spec.method === 'moco-mcl';
  const recipe = benchRecipe(models, settingsOf(spec), precision);
  // Momentum contrast only looks at how many there are.
  const cohort = createCohort(recipe, { classes, channels: 3 }, isMoco ? new Uint8Array(4 * queue) : []);
  const optimizer = createOptimizer(
    recipe,
    [...cohort.networks, ...Object.values(cohort.method.modules)],
    Object.values(cohort.method.optimizers ?? {}),
  );
  const { method: learned, topology, networks } = cohort;
  let tools: StepTools = {
    method: learned,
    topology,
    optimizer,
    precision,
    networksAtOnce: networksAtOnce(networks, threads()),
  };
  const generator = new Generator(0);
  const images = ops.randn([batch, 3, imageSize, imageSize], { generator });
  const laidOut = (each: Tensor): Tensor =>
    recipe.train.channelsLast ? each.contiguous({ memoryFormat: 'channelsLast' }) : each;
  const input: StepInput = {
    images: laidOut(images),
    ...(isMoco ? { otherView: { images: laidOut(images.flip([3])) } } : {}),
    labels: ops.randint(classes, [batch], { generator, dtype: 'int64' }),
    epoch: 0,
  };
  return {
    parameters: cohort.networks.reduce((sum, network) => sum + network.parameterCount(), 0),
    multiplyAdds: forwardMultiplyAdds(cohort.method, input),
    run: () =>
      scope(() => {
        const values = trainStep(tools, input, 'in the benchmark');
        const measured =
          metaStep || isMoco ? workAfterStep(cohort.method, input, optimizer.learningRate, precision) : {};
        return { ...values, ...measured };
      }),
    save: (path) => {
      saveTensors(path, [...namedTensors(cohort), ['images', images], ['labels', input.labels]]);
    },
    parts: {
      method: learned,
      optimizer,
      takeNetworksInTurn: () => {
        tools = { ...tools, networksAtOnce: 1 };
      },
    },
  };
}

/** Keys that every query is contrasted with, in addition to its own. */
const queue = 4096;

function settingsOf({ method, metaStep }: StepWork): Readonly<Record<string, unknown>> {
  switch (method) {
    case 'independent':
    case 'dml':
    case 'mcl':
      return { name: method };
    case 'l-mcl':
      return lmclSettings(metaStep);
    case 'moco-mcl':
      return { name: method, queue };
  }
}

/** A meta step after every step, or none; how often training takes one is the recipe's affair. */
function lmclSettings(metaStep: boolean): Readonly<Record<string, unknown>> {
  return { name: 'l-mcl', meta: metaStep ? { intervalSteps: 1 } : null };
}

function workAfterStep(
  method: Method,
  input: StepInput,
  learningRate: number,
  precision: WorkSpec['precision'],
): Readonly<Record<string, number>> {
  const otherBatch = (): never => {
    throw new Error('the meta step uses the batch of the training step');
  };
  return method.afterStep?.(input, { step: 0, learningRate, precision, otherBatch }) ?? {};
}

/** Every convolution and linear layer that the method runs: networks, branches, heads, matching network, aggregators. */
function forwardMultiplyAdds(method: Method, input: StepInput): number {
  let total = 0;
  scope(() => {
    noGrad(() => {
      nn.observeCalls(
        (layer, output) => {
          const isCounted = layer instanceof nn.Conv2d || layer instanceof nn.Linear;
          if (!isCounted || !(output instanceof Tensor)) return;
          total += (output.numel / (layer.weight.shape[0] ?? 1)) * layer.weight.numel;
        },
        () => {
          method.terms(input);
        },
      );
    });
  });
  return total;
}

/** Weights and statistics by the names that the PyTorch side has for them. */
function namedTensors({ networks, method }: Cohort): [string, Tensor][] {
  return [
    ...networks.flatMap((network, index) =>
      [...network.stateDict()].map(([name, value]): [string, Tensor] => [`network.${index}.${name}`, value]),
    ),
    ...Object.entries(method.modules).flatMap(([module, extra]) =>
      [...extra.stateDict()].map(([name, value]): [string, Tensor] => [`${module}.${name}`, value]),
    ),
  ];
}
