/** Names the architecture that weights belong to, by comparing them with every one there is. */
import { Generator } from '@cohort-ml/torch';
import { createNetwork, modelNames } from '../models/index.ts';
import { fitDictionary, isComplete, targetOf, type Fit, type Target } from './fit.ts';
import type { NameRule } from './names.ts';
import type { TensorDictionary } from './weightsFile.ts';

/** What is known of weights whose model is not. */
export interface Suggestion {
  /** Models that take the weights as they are, if their images have as many channels. */
  readonly fitting: readonly string[];
  /** Models of exactly these shapes under other names; only looked for when none fits. */
  readonly alike: readonly string[];
}

/** Tensors that a file may have besides those of a network: a classifier, a head. */
const mostOthers = 8;

let targets: readonly (readonly [string, Target])[] | null = null;

/** Names and shapes of every architecture; kept, since building all of them takes a second or two. */
function allTargets(): readonly (readonly [string, Target])[] {
  targets ??= modelNames().map((name) => {
    const network = createNetwork(name, { classes: 10, channels: 3, generator: new Generator(0) });
    const target = targetOf(network);
    network.dispose();
    return [name, target] as const;
  });
  return targets;
}

/** Compares the tensors of a dictionary with every architecture; slow the first time, so it is for failures only. */
export function suggestModels(dictionary: TensorDictionary, rules: readonly NameRule[]): Suggestion {
  const fitting = allTargets().filter(([, target]) =>
    fitsButForChannels(fitDictionary(dictionary, target, rules), target),
  );
  if (fitting.length > 0) return { fitting: fitting.map(([name]) => name), alike: [] };
  const found = shapeCounts([...dictionary.tensors.values()].map(({ shape }) => shape));
  const alike = allTargets().filter(([, { shapes, classifier, stem }]) => {
    const inner = [...shapes].filter(([name]) => !name.startsWith(`${classifier}.`) && name !== stem);
    return isContained(shapeCounts(inner.map(([, shape]) => shape)), found);
  });
  return { fitting: [], alike: alike.map(([name]) => name) };
}

/** The second size of the first convolution is that of the images, not of the architecture. */
function fitsButForChannels(fit: Fit, { stem }: Target): boolean {
  const misshapen = fit.misshapen.filter(({ name, found, expected }) => {
    const sameBut = found.length === 4 && found.every((size, axis) => axis === 1 || size === expected[axis]);
    return name !== stem || !sameBut;
  });
  return isComplete({ ...fit, misshapen });
}

/** How often each shape occurs; single numbers (counters) apart. */
function shapeCounts(shapes: readonly (readonly number[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const shape of shapes) {
    if (shape.length > 0) counts.set(shape.join(), (counts.get(shape.join()) ?? 0) + 1);
  }
  return counts;
}

/** Whether a file has a network's shapes, and at most a few more. */
function isContained(wanted: ReadonlyMap<string, number>, found: ReadonlyMap<string, number>): boolean {
  let others = [...found.values()].reduce((total, count) => total + count, 0);
  for (const [shape, count] of wanted) {
    if ((found.get(shape) ?? 0) < count) return false;
    others -= count;
  }
  return others <= mostOthers;
}
